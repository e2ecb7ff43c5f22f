//! Makes an input that fails smaller, as long as it fails.
//!
//! In: bytes, and whether bytes fail. Out: fewer and smaller bytes that still fail.

/// Leaves out pieces and lowers bytes until neither helps, or until so many inputs were tried.
pub(crate) fn shrink(bytes: &[u8], mut tries: usize, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = bytes.to_vec();
    let mut try_one = |candidate: Vec<u8>, best: &mut Vec<u8>| {
        tries = tries.saturating_sub(1);
        let smaller = tries > 0 && candidate != *best && fails(&candidate);
        if smaller {
            *best = candidate;
        }
        (smaller, tries > 0)
    };
    loop {
        let before = best.clone();
        let mut size = best.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < best.len() {
                let end = (at + size).min(best.len());
                let (smaller, go_on) = try_one([&best[..at], &best[end..]].concat(), &mut best);
                if !go_on {
                    return best;
                }
                if !smaller {
                    at += size;
                }
            }
            if size == 1 {
                break;
            }
            size /= 2;
        }
        for at in 0..best.len() {
            for lower in [0, best[at] / 2, best[at].saturating_sub(1)] {
                if at < best.len() && lower < best[at] {
                    let mut candidate = best.clone();
                    candidate[at] = lower;
                    if !try_one(candidate, &mut best).1 {
                        return best;
                    }
                }
            }
        }
        if best == before {
            return best;
        }
    }
}
