//! The code in documents is code that compiles. README's `diff` block, applied to
//! the example `hello`, gives `hello_socket`, except for the opening comments. The
//! migration guide quotes the files of `tests/migration`.

use std::fs;
use std::path::Path;

/// The lines that a server must add, without blank ones.
const PROMISED: usize = 9;

#[test]
fn the_lines_that_readme_adds_turn_one_example_into_the_other() {
    let readme = read("README.md");
    let hunks = hunks(&readme);
    assert!(!hunks.is_empty(), "README.md has no `diff` block");

    let before = without_opening_comment(&read("examples/hello.rs"));
    let after = without_opening_comment(&read("examples/hello_socket.rs"));
    assert_ne!(before, after);
    assert_eq!(apply(&before, &hunks), after);
}

#[test]
fn a_server_needs_no_more_lines_than_readme_promises() {
    let readme = read("README.md");
    let added = hunks(&readme)
        .iter()
        .flatten()
        .filter(|line| line.starts_with('+') && line.trim_end().len() > 1)
        .count();
    assert_eq!(added, PROMISED);
}

#[test]
fn the_migration_guide_quotes_the_servers_that_are_compiled_and_run() {
    let guide = read("src/migrating.md");
    let mut quoted = 0;
    for from in ["hyper_tungstenite", "fastwebsockets", "tokio_tungstenite"] {
        for (kind, file) in [("rust,ignore", "before"), ("rust", "after")] {
            let block = format!("```{kind}\n{}```\n", server(from, file));
            assert_eq!(guide.matches(&block).count(), 1, "{from}/{file}.rs");
            quoted += 1;
        }
    }
    // The glue for poem is a part of its file.
    let poem = server("other_streams", "poem");
    let from = poem.find("fn answer").expect("it has the glue");
    let until = poem[from..].find("\n}\n").expect("it ends") + 3;
    let glue = format!("```rust,ignore\n{}```\n", &poem[from..from + until]);
    assert_eq!(guide.matches(&glue).count(), 1, "{glue}");
    // There is no other block that is not compiled.
    assert_eq!(guide.matches("```rust,ignore").count(), quoted / 2 + 1);

    let hunks = hunks(&guide);
    assert!(!hunks.is_empty(), "the guide has no `diff` block");
    let (before, after) = (server("axum", "before"), server("axum", "after"));
    assert_eq!(apply(&before, &hunks), after);
}

/// Relative links, which GitHub follows and nothing else checks.
#[test]
fn the_files_that_the_pages_link_to_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(page);
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or("");
            assert!(
                target.contains("://") || target.is_empty() || top.join(target).exists(),
                "{page} links to {target}"
            );
        }
    }
}

fn server(from: &str, file: &str) -> String {
    read(&format!("tests/migration/src/{from}/{file}.rs"))
}

/// The hunks of the first `diff` block: each begins with `@@`, as in a unified diff.
fn hunks(readme: &str) -> Vec<Vec<&str>> {
    let mut hunks = Vec::new();
    let block = readme.lines().skip_while(|line| *line != "```diff").skip(1);
    for line in block.take_while(|line| *line != "```") {
        if line.starts_with("@@") {
            hunks.push(Vec::new());
        } else {
            hunks
                .last_mut()
                .expect("a `diff` block begins with `@@`")
                .push(line);
        }
    }
    hunks
}

/// Applies the hunks to `before`. Each must match in exactly one place.
fn apply(before: &str, hunks: &[Vec<&str>]) -> String {
    let mut text = before.to_owned();
    for hunk in hunks {
        let side = |other: char| -> String {
            let lines = hunk.iter().filter(|line| !line.starts_with(other));
            // An editor may have removed the space of an empty line.
            lines
                .map(|line| format!("{}\n", line.get(1..).unwrap_or("")))
                .collect()
        };
        let (old, new) = (side('+'), side('-'));
        assert_eq!(text.matches(&old).count(), 1, "not there once:\n{old}");
        text = text.replacen(&old, &new, 1);
    }
    text
}

fn without_opening_comment(source: &str) -> String {
    let lines = source.lines().skip_while(|line| line.starts_with("//!"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
