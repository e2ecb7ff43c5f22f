//! Requests on standard input, one a line; answers on standard output, one a line and in the same order.
//!
//! In: lines. Out: lines. A line that is too long, or no request at all, is answered by an error, and the next one is read.
//! Nothing is written for notifications.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};

use super::{rpc, service::Service};

/// Answers until there are no more lines.
pub(crate) async fn serve_lines(service: &Arc<Service>) -> std::io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, tokio::io::stdin());
    let mut output = BufWriter::new(tokio::io::stdout());
    let most = service.limits.body as usize;
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut input, &mut line, most).await? {
        let answer = if !whole {
            Some(rpc::too_long(service))
        } else if line.trim_ascii().is_empty() {
            None
        } else {
            rpc::answer(service, &line).await
        };
        if let Some(answer) = answer {
            output.write_all(answer.as_bytes()).await?;
            output.write_all(b"\n").await?;
        }
        // Whoever waits for the answer has sent nothing more yet; whoever sends many is answered in one go.
        if !input.buffer().contains(&b'\n') {
            output.flush().await?;
        }
    }
    output.flush().await
}

/// Reads a line into `line`. None at the end; false where it was too long, and was skipped.
async fn next_line(
    input: &mut BufReader<tokio::io::Stdin>,
    line: &mut Vec<u8>,
    most: usize,
) -> std::io::Result<Option<bool>> {
    line.clear();
    let (mut whole, mut any) = (true, false);
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        whole &= line.len() + part.len() <= most;
        if whole {
            line.extend_from_slice(part);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}
