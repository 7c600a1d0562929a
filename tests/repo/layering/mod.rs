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

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use rules::{Exception, Violation};
use tables::{EXCEPTIONS, FLOORS, FOREIGN, HOMES, LAYERS, MAX_LINES};
use tree::Tree;

/// All of `src/`, read once.
static TREE: LazyLock<Tree> = LazyLock::new(Tree::of_this_crate);

static TOP: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));

/// Those that name sources and tests.
const DOCUMENTS: &[&str] = &[
    "CONTRIBUTING.md",
    "src/design.md",
    "src/guide/promises.md",
    "tests/coverage.md",
    "tests/mutants.md",
];

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
fn comments_and_documents_name_tests_that_exist() {
    hold(tests());
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
        tests(),
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
    let sources = sources();
    let files: Vec<String> = sources.into_iter().map(|(path, _)| path).collect();
    let documents = DOCUMENTS.iter();
    let found = documents.flat_map(|name| rules::documents(name, &read(name), &files));
    found.collect()
}

fn tests() -> Vec<Violation> {
    let sources = sources();
    let functions = sources
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1));
    let is_end = |character: char| !character.is_ascii_alphanumeric() && character != '_';
    let names = functions.filter_map(|rest| rest.split(is_end).next());
    let names: HashSet<String> = names.map(str::to_owned).collect();
    let documents = DOCUMENTS
        .iter()
        .map(|name| ((*name).to_owned(), read(name)));
    let texts = sources.iter().cloned().chain(documents);
    // The planted rule names a test that is missing.
    let texts = texts.filter(|(path, _)| !path.starts_with("tests/repo/layering/planted"));
    texts
        .flat_map(|(path, text)| rules::tests(&path, &text, &names))
        .collect()
}

/// All Rust of the project: paths and texts.
fn sources() -> Vec<(String, String)> {
    let folders = ["src", "tests", "benches", "examples"].into_iter();
    let found = folders.flat_map(|folder| {
        let files = tree::files_below(&TOP.join(folder), "rs").into_iter();
        files.map(move |(path, text)| (format!("{folder}/{path}"), text))
    });
    found.collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(TOP.join(name)).expect("a document is UTF-8")
}
