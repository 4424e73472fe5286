//! Finds the files, checks their names and compresses them.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};

/// The longest name that the portal looks up, in bytes.
const LONGEST: usize = 128;

/// The names that the portal keeps for itself.
const TAKEN: [&str; 6] = [
    "setup",
    "plain",
    "networks.json",
    "status.json",
    "rescan",
    "connect",
];

/// A file that is ready to be served.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The path below `www/`, with slashes.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) path: String,
    /// Its contents compressed, where that is shorter.
    pub(crate) gzip: Option<Vec<u8>>,
    /// A text that changes with the contents.
    pub(crate) tag: String,
}

/// All the files below `folder`, by name; none when there is no such folder.
///
/// # Errors
///
/// What is wrong with which file, and what to do.
pub(crate) fn files(folder: &Path) -> Result<Vec<Packed>, String> {
    let mut found = Vec::new();
    if folder.is_dir() {
        walk(folder, "", &mut found)?;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn walk(folder: &Path, above: &str, found: &mut Vec<Packed>) -> Result<(), String> {
    let unread = |error| format!("{} could not be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let path = entry.path();
        let (Some(name), Some(place)) = (
            path.file_name().and_then(|name| name.to_str()),
            path.to_str(),
        ) else {
            return Err(format!("{} is not UTF-8: rename it", path.display()));
        };
        // What editors and systems leave behind is nobody's page.
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{above}{name}");
        let kind = entry.file_type().map_err(unread)?;
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), found)?;
        } else if kind.is_file() {
            check(&name)?;
            let bytes = fs::read(&path).map_err(|error| format!("www/{name}: {error}"))?;
            found.push(Packed {
                gzip: compressed(&bytes).filter(|packed| packed.len() < bytes.len()),
                tag: tag(&bytes),
                path: place.to_owned(),
                name,
            });
        } else {
            return Err(format!("www/{name} is no file: put a copy in its place"));
        }
    }
    Ok(())
}

fn check(name: &str) -> Result<(), String> {
    if TAKEN.contains(&name) || name.starts_with("app/") {
        return Err(format!(
            "www/{name}: the portal has this name for itself: rename the file"
        ));
    }
    if name.len() >= LONGEST {
        return Err(format!(
            "www/{name}: the name is too long: at most {} bytes",
            LONGEST - 1
        ));
    }
    Ok(())
}

/// Compressed without a name or a time, so that the same contents give the same program.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::best());
    writer.write_all(bytes).ok()?;
    writer.finish().ok()
}

/// 64 bits of FNV-1a, in hexadecimal, as the framework's own tags.
fn tag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn folder(names: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn nested_files_are_packed_by_name_and_compressed_where_that_is_shorter() {
        let text = b"all the same ".repeat(50);
        let www = folder(&[
            ("index.html", &text),
            ("css/deep/a.css", b"a"),
            (".hidden", b"x"),
            ("css/.swap", b"x"),
        ]);
        let files = files(www.path()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["css/deep/a.css", "index.html"]);
        assert_eq!(files[0].gzip, None);
        let mut unpacked = Vec::new();
        let gzip = files[1].gzip.as_deref().unwrap();
        GzDecoder::new(gzip).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert_eq!(
            gzip[4..8],
            [0; 4],
            "a time in the file makes each build another"
        );
        assert_ne!(files[0].tag, files[1].tag);
    }

    #[test]
    fn an_application_without_files_has_none() {
        assert!(files(Path::new("/nonexistent/www")).unwrap().is_empty());
    }

    #[test]
    fn what_the_portal_could_never_serve_is_an_error() {
        let long = "a".repeat(LONGEST);
        for name in ["setup", "app/temperature", "status.json", &long] {
            let error = files(folder(&[(name, b"x")]).path()).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_refused() {
        let www = folder(&[]);
        std::os::unix::fs::symlink("/etc/passwd", www.path().join("passwd.txt")).unwrap();
        assert!(files(www.path()).unwrap_err().contains("passwd.txt"));
    }

    #[test]
    fn the_tag_is_fnv_1a() {
        assert_eq!(tag(b"foobar"), "85944171f73967e8");
    }
}
