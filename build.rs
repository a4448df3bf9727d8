//! Sets the linker up for a Node addon; a build without the `node` feature needs nothing.
#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]
fn main() {
    // Without this, any file of the package that changes, a document even, has the whole core compiled anew.
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
    }
}
