//! The methods by their names.
//!
//! In: parameters, as JSON-RPC has them. Out: results or errors with the numbers that JSON-RPC fixes.

use std::{sync::Arc, time::Instant};

use jsonrpsee::{
    RpcModule,
    server::RegisterMethodError,
    types::{
        ErrorObjectOwned, Params,
        error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
    },
};
use serde::de::DeserializeOwned;

use super::service::{Refusal, Service};

/// The number of the error for requests that ask for too much.
const TOO_MUCH: i32 = -32_005;

/// All methods of a service.
pub(crate) fn methods(service: &Arc<Service>) -> Result<RpcModule<Arc<Service>>, RegisterMethodError> {
    let mut module = RpcModule::new(Arc::clone(service));
    module.register_async_method("deconflict_hints", |params, service, _| async move {
        let start = Instant::now();
        let answer = match object(&params) {
            Ok(params) => Arc::clone(&*service).hints(params, false).await.map_err(error),
            Err(error) => Err(error),
        };
        service.metrics.answered(start.elapsed(), answer.is_ok());
        answer
    })?;
    module.register_async_method("deconflict_plan", |params, service, _| async move {
        let start = Instant::now();
        let answer = match object(&params) {
            Ok(params) => Arc::clone(&*service).hints(params, true).await.map_err(error),
            Err(error) => Err(error),
        };
        service.metrics.answered(start.elapsed(), answer.is_ok());
        answer
    })?;
    module.register_async_method("deconflict_template", |params, service, _| async move {
        let start = Instant::now();
        let answer = match object(&params) {
            Ok(params) => Arc::clone(&*service).template(params).await.map_err(error),
            Err(error) => Err(error),
        };
        service.metrics.answered(start.elapsed(), answer.is_ok());
        answer
    })?;
    module.register_method("deconflict_cache", |_, service, _| service.cache())?;
    module.register_method("deconflict_health", |_, service, _| service.health())?;
    Ok(module)
}

/// Parameters are one object, as it is or as the only element of a list.
fn object<T: DeserializeOwned>(params: &Params<'_>) -> Result<T, ErrorObjectOwned> {
    if params.as_str().is_some_and(|text| text.trim_start().starts_with('[')) {
        params.one()
    } else {
        params.parse()
    }
}

fn error(refusal: Refusal) -> ErrorObjectOwned {
    let (code, message) = match refusal {
        Refusal::Params(message) => (INVALID_PARAMS_CODE, message),
        Refusal::TooMuch(message) => (TOO_MUCH, message),
        Refusal::Internal(message) => (INTERNAL_ERROR_CODE, message),
    };
    ErrorObjectOwned::owned(code, message, None::<()>)
}
