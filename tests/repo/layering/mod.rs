//! The order of the house: which file may use which, where the methods of a type
//! stand, how long a file may be.
//!
//! The compiler accepts any `use crate::..`, so only a test keeps the order. Its
//! use: the protocol can be read, tested and used without the connection, and the
//! handshake without either. No file has to be understood together with one above it.
//!
//! `tables.rs` says what holds and `rules.rs` judges it, by what `parse.rs` and
//! `tree.rs` read of the sources. `planted` shows that each rule fails when it should.

mod parse;
mod planted;
mod rules;
mod tables;
mod tree;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rules::{Exception, Violation};
use tables::{EXCEPTIONS, FLOORS, FOREIGN, HOMES, LAYERS, MAX_LINES};
use tree::Tree;

/// All of `src/`, read once.
static TREE: LazyLock<Tree> = LazyLock::new(Tree::of_this_crate);

#[test]
fn modules_use_only_what_their_row_names() {
    hold(rules::layers(&TREE, LAYERS));
}

#[test]
fn files_of_a_folder_use_only_lower_floors() {
    hold(rules::floors(&TREE, FLOORS));
}

#[test]
fn facades_hold_no_code() {
    hold(rules::facades(&TREE, FLOORS));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    hold(rules::circles(&TREE));
}

#[test]
fn methods_stand_at_the_home_of_their_type() {
    hold(rules::homes(&TREE, HOMES));
}

#[test]
fn parts_of_other_crates_are_named_only_where_the_table_says() {
    hold(rules::foreign(&TREE, FOREIGN));
}

#[test]
fn files_are_short_before_their_tests() {
    hold(rules::lengths(&TREE, MAX_LINES));
}

#[test]
fn every_path_of_this_crate_is_understood() {
    hold(rules::resolved(&TREE));
}

#[test]
fn documents_name_sources_that_exist() {
    hold(documents());
}

#[test]
fn every_exception_is_still_needed() {
    let found = [
        rules::layers(&TREE, LAYERS),
        rules::floors(&TREE, FLOORS),
        rules::facades(&TREE, FLOORS),
        rules::circles(&TREE),
        rules::homes(&TREE, HOMES),
        rules::foreign(&TREE, FOREIGN),
        rules::lengths(&TREE, MAX_LINES),
        documents(),
    ]
    .concat();
    let is_needed = |exception| found.iter().any(|it| rules::excuses(exception, it));
    let stale = EXCEPTIONS.iter().filter(|exception| !is_needed(exception));
    let stale: Vec<String> = stale
        .map(|Exception(rule, at, why)| format!("`{rule}` at `{at}` ({why}): nothing breaks it"))
        .collect();
    assert!(
        stale.is_empty(),
        "\n\ndelete from EXCEPTIONS:\n{}\n",
        stale.join("\n")
    );
}

/// Fails with all that the exceptions do not excuse.
fn hold(found: Vec<Violation>) {
    let found = rules::without(EXCEPTIONS, found);
    let texts: Vec<String> = found.into_iter().map(|violation| violation.text).collect();
    assert!(texts.is_empty(), "\n\n{}\n", texts.join("\n"));
}

fn documents() -> Vec<Violation> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        let found = tree::files_below(&top.join(folder), "rs").into_iter();
        files.extend(found.map(|(path, _)| format!("{folder}/{path}")));
    }
    let mut found = Vec::new();
    for name in ["src/design.md", "CONTRIBUTING.md"] {
        // Not everything is written yet.
        if let Ok(document) = fs::read_to_string(top.join(name)) {
            found.extend(rules::documents(name, &document, &files));
        }
    }
    found
}
