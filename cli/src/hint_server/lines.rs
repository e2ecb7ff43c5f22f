//! Requests on standard input, one a line; answers on standard output, one a line and in the same order.
//!
//! In: lines. Out: lines. A line that is too long, or no request at all, is answered by an error, and the next one is read.

use std::sync::Arc;

use jsonrpsee::RpcModule;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};

use super::service::Service;

const NOT_JSON: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the line is no JSON-RPC request"}}"#;
const TOO_LONG: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32007,"message":"the line is longer than --max-body"}}"#;
const TOO_MANY: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"the batch is larger than --max-batch"}}"#;

/// Answers until there are no more lines.
pub(crate) async fn serve_lines(
    service: &Arc<Service>,
    methods: &RpcModule<Arc<Service>>,
) -> std::io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, tokio::io::stdin());
    let mut output = BufWriter::new(tokio::io::stdout());
    let most = service.limits.body as usize;
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut input, &mut line, most).await? {
        let text = std::str::from_utf8(&line).unwrap_or_default().trim();
        let answer = if !whole {
            TOO_LONG.to_owned()
        } else if line.is_empty() {
            continue;
        } else if text.starts_with('[') {
            batch(methods, text, service.limits.batch as usize).await
        } else {
            one(methods, text).await
        };
        output.write_all(answer.as_bytes()).await?;
        output.write_all(b"\n").await?;
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

async fn one(methods: &RpcModule<Arc<Service>>, text: &str) -> String {
    match methods.raw_json_request(text, 1).await {
        Ok((answer, _)) => answer.get().to_owned(),
        Err(_) => NOT_JSON.to_owned(),
    }
}

async fn batch(methods: &RpcModule<Arc<Service>>, text: &str, most: usize) -> String {
    let Ok(requests) = serde_json::from_str::<Vec<&RawValue>>(text) else { return NOT_JSON.to_owned() };
    if requests.len() > most {
        return TOO_MANY.to_owned();
    }
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push(one(methods, request.get()).await);
    }
    format!("[{}]", answers.join(","))
}
