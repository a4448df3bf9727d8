//! Answers to JavaScript: thrown errors with a stable `code`, and promises that never reject.
#![expect(
    clippy::disallowed_methods,
    reason = "the work of a promise runs on the engine's runtime, which no Host covers"
)]

use std::future::Future;

use napi::bindgen_prelude::Object;
use napi::{Env, JsDeferred};

use super::{Reply, engine};
use crate::error::{Code, Error, Result};

/// An error that JavaScript sees with its `code`.
pub type Thrown = napi::Error<Code>;

impl From<Error> for Thrown {
    fn from(error: Error) -> Thrown {
        napi::Error::new(error.code, error.message)
    }
}

/// Value of a promise: text, and perhaps bytes.
pub struct Given {
    /// JSON where it is more than a word.
    pub text: String,
    /// Bytes beside it.
    pub bytes: Option<Vec<u8>>,
}

impl From<String> for Given {
    fn from(text: String) -> Given {
        Given { text, bytes: None }
    }
}

type Resolver = Box<dyn FnOnce(Env) -> napi::Result<Reply> + Send>;

/// A promise of what `work` gives, done on our own threads. It keeps the process alive until it is settled.
pub fn promise<'env, T: Into<Given> + Send + 'static>(
    env: &'env Env,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let (deferred, promise): (JsDeferred<Reply, Resolver>, Object<'env>) = env.create_deferred()?;
    let runtime = &engine().runtime;
    let work = runtime.spawn(work);
    runtime.spawn(async move {
        let outcome = match work.await {
            Ok(Ok(given)) => {
                let Given { text, bytes } = given.into();
                Reply { value: Some(text), bytes: bytes.map(Into::into), code: None, message: None }
            }
            Ok(Err(error)) => failed(&error),
            Err(_) => failed(&Error::new(
                Code::Internal,
                "a bug in the core was caught; open the session again and report the bug",
            )),
        };
        deferred.resolve(Box::new(move |_| Ok(outcome)));
    });
    Ok(promise)
}

fn failed(error: &Error) -> Reply {
    Reply {
        value: None,
        bytes: None,
        code: Some(error.code.as_str().to_owned()),
        message: Some(error.message.clone()),
    }
}
