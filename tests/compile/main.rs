//! Mistakes that people make, and what the compiler says about them.
//!
//! Each file of `cases` is a program with one mistake. Its lines that begin with `//~` are texts that
//! the errors of this program contain. They are short, and mostly this crate's own words: `trybuild`,
//! which compares whole outputs, would fail with every release of Rust, and builds all dependencies
//! anew. `right.rs` has no such line, and compiles.
//!
//! One run of `cargo check` compiles all cases, with the versions of this project's lock file and in
//! its target folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn the_compiler_says_what_to_do() {
    let cases = cases();
    let errors = check(&cases);
    let mut wrong = String::new();
    for (name, path) in &cases {
        let source = fs::read_to_string(path).expect("a case is a text");
        let expected: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//~ "))
            .collect();
        let errors = errors.get(name).map_or("", String::as_str);
        let missing = expected.iter().find(|text| !errors.contains(**text));
        match missing {
            Some(missing) => wrong += &format!("{name}: no `{missing}` in\n{errors}\n"),
            None if expected.is_empty() != errors.is_empty() => {
                wrong += &format!("{name}: does not compile:\n{errors}\n");
            }
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The cases, by name.
fn cases() -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile/cases");
    let files = fs::read_dir(folder).expect("the cases are part of the project");
    let cases: BTreeMap<_, _> = files
        .map(|file| file.expect("the folder can be read").path())
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                path,
            )
        })
        .collect();
    assert!(cases.len() > 5 && cases.contains_key("right"), "{cases:?}");
    cases
}

/// Compiles all cases; returns the errors of each.
fn check(cases: &BTreeMap<String, PathBuf>) -> BTreeMap<String, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // `target/tmp`.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package = temporary.join("compile");
    let mut manifest = format!(
        "[package]\nname = \"compile\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nhyper-ws = {{ path = {here:?} }}\nhyper = {{ version = \"1\", features = \
         [\"http1\", \"server\"] }}\nhttp-body-util = \"0.1\"\n"
    );
    for (name, path) in cases {
        manifest += &format!("\n[[bin]]\nname = \"{name}\"\npath = {path:?}\n");
    }
    fs::create_dir_all(&package).expect("the target folder is writable");
    fs::write(package.join("Cargo.toml"), manifest).expect("it is writable");
    fs::copy(here.join("Cargo.lock"), package.join("Cargo.lock")).expect("there is a lock file");
    let cargo = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--bins", "--keep-going"])
        .arg("--message-format=json")
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", temporary.parent().expect("`target`"))
        .output()
        .expect("cargo runs");
    let mut errors = BTreeMap::<String, String>::new();
    let mut finished = 0;
    for line in String::from_utf8_lossy(&cargo.stdout).lines() {
        let message: Value = serde_json::from_str(line).expect("cargo writes JSON");
        finished += usize::from(message["reason"] == "build-finished");
        if message["reason"] == "compiler-message" && message["message"]["level"] == "error" {
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let rendered = message["message"]["rendered"].as_str().unwrap_or_default();
            *errors.entry(name.to_owned()).or_default() += rendered;
        }
    }
    let said = String::from_utf8_lossy(&cargo.stderr);
    assert_eq!(finished, 1, "cargo did not come to the cases: {said}");
    errors
}
