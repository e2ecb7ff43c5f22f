//! The methods by their names.
//!
//! In: parameters, as JSON-RPC has them. Out: results, or errors with the numbers that JSON-RPC fixes, which name the field
//! that is wrong as the documents do.

use std::sync::Arc;

use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE, METHOD_NOT_FOUND_CODE};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::{refusal::Refusal, service::Service};

/// The number of the error for requests that ask for too much.
const TOO_MUCH: i32 = -32_005;

/// Why a call has no result.
#[derive(Debug)]
pub(super) struct MethodFailure {
    pub(super) code: i32,
    pub(super) message: String,
}

/// Calls a method.
pub(super) async fn call(
    service: &Arc<Service>,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Box<RawValue>, MethodFailure> {
    let service = Arc::clone(service);
    let answer = match method {
        "deconflict_hints" => service.hints(object(params)?, false).await,
        "deconflict_plan" => service.hints(object(params)?, true).await,
        "deconflict_template" => service.template(object(params)?).await,
        "deconflict_cache" => to_raw_value(&service.cache()).map_err(|it| Refusal::Internal(it.to_string())),
        "deconflict_health" => {
            to_raw_value(&service.health()).map_err(|it| Refusal::Internal(it.to_string()))
        }
        _ => {
            let message = format!("there is no method `{method}`");
            return Err(MethodFailure { code: METHOD_NOT_FOUND_CODE, message });
        }
    };
    answer.map_err(|refusal| {
        let (code, message) = match refusal {
            Refusal::Params(message) => (INVALID_PARAMS_CODE, message),
            Refusal::TooMuch(message) => (TOO_MUCH, message),
            Refusal::Internal(message) => (INTERNAL_ERROR_CODE, message),
        };
        MethodFailure { code, message }
    })
}

/// Parameters are one object, as it is or as the only element of a list.
fn object<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, MethodFailure> {
    let wrong = |message| MethodFailure { code: INVALID_PARAMS_CODE, message };
    let mut text = params.map_or("{}", RawValue::get);
    if text.starts_with('[') {
        let list = serde_json::from_str::<Vec<&RawValue>>(text).map_err(|error| wrong(plain(&error)))?;
        let [only] = list[..] else {
            return Err(wrong(format!("`params` is a list of {}; give one object", list.len())));
        };
        text = only.get();
    }
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let (path, problem) = (error.path().to_string(), plain(error.inner()));
        wrong(if path == "." { format!("`params`: {problem}") } else { format!("{path}: {problem}") })
    })
}

/// What is wrong, without a place in a text that nobody else has seen.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or(text.clone(), str::to_owned)
}
