//! Answers to JavaScript: thrown errors with a stable `code`, and promises that never reject.
//!
//! A promise resolves to its value or to a [`Failure`], which is known by its `code`: no value is an object that has one.
#![expect(
    clippy::disallowed_methods,
    reason = "the work of a promise runs on the engine's runtime, which no Host covers"
)]

use std::future::Future;

use napi::bindgen_prelude::{Either, Object, ToNapiValue};
use napi::{Env, JsDeferred};
use napi_derive::napi;

use super::engine;
use crate::error::{Code, Error, Result};

/// An error that JavaScript sees with its `code`.
pub type Thrown = napi::Error<Code>;

impl From<Error> for Thrown {
    fn from(error: Error) -> Thrown {
        napi::Error::new(error.code(), error.message)
    }
}

/// An error, as a value: of a call that takes time, or beside figures.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// Its stable code.
    #[napi(ts_type = "import('./types/error.js').HybridAuthErrorCode")]
    pub code: &'static str,
    /// The text that a person reads.
    pub message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { code: error.code().as_str(), message: error.message }
    }
}

/// Outcome of a call that takes time.
type Outcome<T> = Either<T, Failure>;

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<Outcome<T>> + Send>;

/// A promise of what `work` gives, done on our own threads. It keeps the process alive until it is settled.
pub fn promise<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let (deferred, promise): (JsDeferred<Outcome<T>, Resolver<T>>, Object<'env>) = env.create_deferred()?;
    let runtime = &engine().runtime;
    let work = runtime.spawn(work);
    runtime.spawn(async move {
        let outcome = match work.await {
            Ok(Ok(value)) => Either::A(value),
            Ok(Err(error)) => Either::B(error.into()),
            Err(_) => Either::B(
                Error::new(
                    Code::Internal,
                    "a bug in the core was caught; open the session again and report the bug",
                )
                .into(),
            ),
        };
        deferred.resolve(Box::new(move |_| Ok(outcome)));
    });
    Ok(promise)
}
