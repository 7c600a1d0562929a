//! Counts the packages that this crate adds to the dependency tree of a bare hyper
//! server.
//!
//! Each tree is that of a small manifest, written below the build folder with the
//! versions of this project's lock file: no release of another package changes the
//! count. All packages were fetched to build this test, so no network is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages that default features may add, this one not counted.
const MAX_ADDED: usize = 16;

/// The dependencies of a server that answers requests over HTTP/1.1, without
/// WebSockets.
const BARE_SERVER: &str = r#"
hyper = { version = "1", features = ["http1", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
http-body-util = "0.1"
tokio = { version = "1", features = ["net", "rt", "macros"] }
"#;

#[test]
fn default_features_add_few_packages_to_a_bare_hyper_server() {
    let bare = tree("bare", BARE_SERVER);
    let with = tree(
        "with",
        &format!("{BARE_SERVER}hyper-ws = {{ path = {} }}\n", here()),
    );
    assert!(is_server(&bare), "not the tree of a hyper server: {bare:?}");
    assert!(is_server(&with), "not the tree of a hyper server: {with:?}");
    let mut added: BTreeSet<&String> = with.difference(&bare).collect();
    let own = format!("hyper-ws v{}", env!("CARGO_PKG_VERSION"));
    assert!(added.remove(&own), "{own} is not in its own tree: {with:?}");

    println!(
        "{} packages added to {}: {added:?}",
        added.len(),
        bare.len()
    );
    assert!(
        added.len() <= MAX_ADDED,
        "default features add {} packages, at most {MAX_ADDED} are allowed: {added:#?}",
        added.len(),
    );
}

#[test]
fn the_readme_says_how_many_packages_each_feature_adds() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("the README is part of the project");
    let rows = readme.lines().filter_map(|line| {
        // | `feature` .. | what it gives | number .. |
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let feature = cells.next()?.split('`').next()?;
        let number = cells.nth(1)?.split([' ', ',']).next()?;
        Some((feature.to_owned(), number.parse::<usize>().ok()?))
    });
    let rows: Vec<_> = rows.collect();
    let listed: BTreeSet<_> = rows.iter().map(|(feature, _)| feature.as_str()).collect();
    for feature in [
        "server",
        "tracing",
        "simdutf8",
        "axum",
        "client",
        "deflate",
        "http2",
        "hub",
        "redis",
        "redis-tls",
        "rustls",
        "rustls-aws-lc-rs",
        "rustls-ring",
        "testing",
    ] {
        assert!(listed.contains(feature), "README does not list `{feature}`");
    }
    for (feature, said) in &rows {
        // Compared with the default features; for the default features themselves,
        // with the server alone.
        let before: &[&str] = match feature.as_str() {
            "server" => &[],
            "tracing" | "simdutf8" => &["server"],
            _ => &["default"],
        };
        let after = with_features("features", &[before, &[feature]].concat());
        let before = with_features("features", before);
        let added: Vec<_> = after.difference(&before).collect();
        let own = added
            .iter()
            .filter(|package| name(package) == "hyper-ws")
            .count();
        assert_eq!(added.len() - own, *said, "`{feature}` adds {added:?}");
    }
}

/// Tests that run at the same time name different programs.
fn with_features(program: &str, features: &[&str]) -> BTreeSet<String> {
    if features.is_empty() {
        return tree(program, BARE_SERVER);
    }
    let manifest = format!(
        "{BARE_SERVER}hyper-ws = {{ path = {}, default-features = false, features = {features:?} }}\n",
        here()
    );
    tree(program, &manifest)
}

#[test]
fn tls_brings_a_crypto_provider_only_if_a_feature_names_it() {
    // A second one in a program makes rustls's `ClientConfig::builder` panic.
    let of = |features: &[&str]| -> Vec<String> {
        let tree = with_features("tls", features);
        let is_provider = |package: &&String| ["ring", "aws-lc-rs"].contains(&name(package));
        assert!(tree.iter().any(|package| name(package) == "rustls"));
        tree.iter()
            .filter(is_provider)
            .map(|package| name(package).to_owned())
            .collect()
    };
    assert!(of(&["rustls"]).is_empty());
    assert!(of(&["redis-tls"]).is_empty());
    assert_eq!(of(&["rustls-ring"]), ["ring"]);
    assert_eq!(of(&["redis-tls", "rustls-ring"]), ["ring"]);
    assert_eq!(of(&["rustls-aws-lc-rs"]), ["aws-lc-rs"]);
}

#[test]
fn the_only_dependency_without_default_features_is_bytes() {
    let manifest = format!(
        "hyper-ws = {{ path = {}, default-features = false }}\n",
        here()
    );
    let names: Vec<String> = tree("core", &manifest)
        .iter()
        .map(|package| name(package).to_owned())
        .collect();
    assert_eq!(names, ["bytes", "hyper-ws"]);
}

/// The packages, each as `name version`, of a program with these dependencies on
/// this platform.
fn tree(program: &str, dependencies: &str) -> BTreeSet<String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-{program}"));
    fs::create_dir_all(folder.join("src")).expect("the build folder is writable");
    let write = |file: &str, text: &str| {
        fs::write(folder.join(file), text).expect("the build folder is writable");
    };
    write("src/main.rs", "fn main() {}\n");
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"{ROOT}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             publish = false\n\n[workspace]\n\n[dependencies]\n{dependencies}"
        ),
    );
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).expect("the lock file is part of the project");

    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--no-dedupe", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "`cargo tree` failed (a package that is missing comes with `cargo fetch`):\n{}",
        String::from_utf8_lossy(&output.stderr),
    );
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    // A line is `name v1.2.3`, and `(proc-macro)` or `(/a/path)` after that.
    let packages = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    packages.filter(|package| name(package) != ROOT).collect()
}

fn is_server(tree: &BTreeSet<String>) -> bool {
    ["hyper", "hyper-util", "http-body-util", "tokio", "mio"]
        .iter()
        .all(|wanted| tree.iter().any(|package| name(package) == *wanted))
}

fn name(package: &str) -> &str {
    package
        .split(' ')
        .next()
        .expect("split gives at least one part")
}

/// This crate's folder as a TOML string.
fn here() -> String {
    format!("{:?}", env!("CARGO_MANIFEST_DIR"))
}

const ROOT: &str = "a-program";
