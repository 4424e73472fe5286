//! Packs the files of an application's `www/` into its program.
//!
//! Guarantees: what is served is what lies in `www/` when the program is built, compressed where that
//! is shorter; nothing outside of it is reached; a file that the portal could never serve is an error
//! of the build and not a surprise later.

mod walk;

use std::path::Path;

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// The files of `www/` beside the application's `Cargo.toml`, as `&'static [File]`; none when there is
/// no such folder. Boards call this in their `main!`, with the path to the framework.
///
/// A file that changes is packed anew by itself. Files that come or go are noticed when the
/// application has a `build.rs` with `println!("cargo::rerun-if-changed=www")`.
#[proc_macro]
pub fn www(framework: TokenStream) -> TokenStream {
    let packed = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| "CARGO_MANIFEST_DIR is not set: build with cargo".to_owned())
        .and_then(|package| walk::files(&Path::new(&package).join("www")))
        .and_then(|files| {
            let list: String = files.iter().map(literal).collect();
            block(framework, &list)
        });
    packed.unwrap_or_else(|error| {
        let error = format!("compile_error!({error:?})");
        error.parse().unwrap_or_default()
    })
}

/// One `File`, as Rust source. The contents are included by path, so that the compiler knows of them.
fn literal(file: &walk::Packed) -> String {
    let walk::Packed {
        name, path, tag, ..
    } = file;
    let gzip = match &file.gzip {
        Some(bytes) => format!("Some(b\"{}\")", bytes.escape_ascii()),
        None => "None".to_owned(),
    };
    format!(
        "framework::File {{ path: {name:?}, content_type: framework::content_type({name:?}), \
         bytes: include_bytes!({path:?}), gzip: {gzip}, etag: {tag:?} }},"
    )
}

/// A block that is the list, with the framework's portal by name.
fn block(framework: TokenStream, list: &str) -> Result<TokenStream, String> {
    let source = |text: &str| {
        text.parse::<TokenStream>()
            .map_err(|error| format!("www/ could not be packed: {error}"))
    };
    let mut tokens = source("use")?;
    tokens.extend(framework);
    tokens.extend(source("::portal as framework;")?);
    tokens.extend(source(&format!(
        "const FILES: &[framework::File] = &[{list}]; FILES"
    ))?);
    Ok(TokenTree::Group(Group::new(Delimiter::Brace, tokens)).into())
}
