//! Modules use what is below them and nothing above: `src/` is read, and a path
//! to a module that is not in the table fails, with file, line and rule.
//!
//! The compiler accepts any `use crate::..`, so only a test keeps the order.
//! What it buys: the protocol can be read, tested and used without the
//! connection, the handshake without either, and no file has to be understood
//! together with one above it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A row: the layer's number, its modules, and the paths that they may use
/// beside their own. A path of one name allows the whole module.
type Layer = (u8, &'static [&'static str], &'static [&'static str]);

/// The layers, lowest first (the table in `src/design.md`).
const LAYERS: &[Layer] = &[
    (
        0,
        &["message", "close", "error", "config"],
        &["message", "close", "error", "config"],
    ),
    (1, &["frame"], &["message", "close", "error", "config"]),
    (
        2,
        &["extension"],
        &["message", "close", "error", "config", "frame"],
    ),
    (
        3,
        &["protocol"],
        &["message", "close", "error", "config", "frame", "extension"],
    ),
    (
        3,
        &["handshake"],
        &["message", "close", "error", "config", "extension"],
    ),
    (
        4,
        &["socket", "tracker"],
        &[
            "message", "close", "error", "config", "protocol", "socket", "tracker",
        ],
    ),
    // Not each other: a server has no use for the client, nor a client for the server.
    (
        5,
        &["upgrade", "client"],
        &[
            "message",
            "close",
            "error",
            "config",
            "protocol",
            "handshake",
            "socket",
            "tracker",
        ],
    ),
    (
        6,
        &["middleware", "axum"],
        &[
            "message",
            "close",
            "error",
            "config",
            "frame",
            "extension",
            "protocol",
            "handshake",
            "socket",
            "tracker",
            "upgrade",
            "client",
        ],
    ),
    // Rooms know sockets and encoded messages, but no HTTP.
    (
        6,
        &["hub"],
        &[
            "message",
            "close",
            "error",
            "config",
            "socket",
            "tracker",
            "protocol::Prepared",
        ],
    ),
    // A client of whatever a server consists of.
    (
        7,
        &["testing"],
        &[
            "message",
            "close",
            "error",
            "config",
            "protocol",
            "handshake",
            "socket",
            "client",
            "middleware",
        ],
    ),
];

/// The only modules that may name `hyper::upgrade`: everything else works on
/// any stream of bytes.
const UPGRADES: &[&str] = &["upgrade", "client"];

/// Lines of a file before its unit tests.
const MAX_LINES: usize = 500;

#[test]
fn no_module_uses_one_that_is_above_it() {
    let exports = exports();
    let mut found = Vec::new();
    for (path, source) in sources() {
        found.extend(upward(&path, &source, &exports));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_module_is_in_the_table_and_in_one_row_only() {
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for module in LAYERS.iter().flat_map(|(_, modules, _)| *modules) {
        *rows.entry(module).or_default() += 1;
    }
    for (path, _) in sources() {
        let Some(module) = module_of(&path) else {
            continue;
        };
        assert_eq!(
            rows.get(module.as_str()),
            Some(&1),
            "src/{}: the module `{module}` must have one row in LAYERS (tests/layering.rs)",
            path.display(),
        );
    }
}

#[test]
fn no_row_allows_a_module_of_a_higher_layer() {
    for (layer, modules, allowed) in LAYERS {
        for path in *allowed {
            let name = path
                .split("::")
                .next()
                .expect("split gives at least one part");
            let (other, ..) = row(name).unwrap_or_else(|| panic!("no row for `{name}`"));
            assert!(
                other <= *layer,
                "{modules:?} in layer {layer} may use `{name}` in {other}"
            );
        }
    }
}

#[test]
fn files_are_short_before_their_tests() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !is_tests(path))
        .filter_map(|(path, source)| {
            let lines = lines_before_tests(source);
            let path = path.display();
            (lines > MAX_LINES).then(|| {
                format!("src/{path}: {lines} lines before its tests, {MAX_LINES} at most: split it")
            })
        })
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

/// Every edge of the file that its row does not allow, one line of text each.
fn upward(path: &Path, source: &str, exports: &BTreeMap<String, String>) -> Vec<String> {
    // The root names them all; the tests of a module may use what they like.
    let Some(module) = module_of(path) else {
        return Vec::new();
    };
    let code = without_tests(&without_comments(source));
    let place = |line| format!("src/{}:{line}", path.display());
    let mut found = Vec::new();

    if !UPGRADES.contains(&module.as_str()) {
        for (line, used) in paths_after(&code, "hyper::") {
            if first(&used) == "upgrade" {
                found.push(format!(
                    "{}: `{module}` names `hyper::upgrade`, but only {UPGRADES:?} may",
                    place(line),
                ));
            }
        }
    }

    let Some((layer, _, allowed)) = row(&module) else {
        found.push(format!("{}: no row in LAYERS for `{module}`", place(1)));
        return found;
    };
    let mut edges = paths_after(&code, "crate::");
    // `super` from as deep as this file is leads to the root as well. Within an
    // inline module it does not: there the name is one of the file's own.
    let depth = path.components().count() - usize::from(path.ends_with("mod.rs"));
    let supers = paths_after(&code, &"super::".repeat(depth));
    let of_root = |path: &[String]| row(&path[0]).is_some() || exports.contains_key(&path[0]);
    edges.extend(supers.into_iter().filter(|(_, path)| of_root(path)));
    for (line, used) in edges {
        // What the root exports again belongs to the module that it comes from.
        let used = match exports.get(&used[0]) {
            Some(origin) => [std::slice::from_ref(origin), &used[..]].concat(),
            None => used,
        };
        let full = used.join("::");
        let target = first(&used);
        let permitted = target == module
            || allowed
                .iter()
                .any(|path| full == *path || full.starts_with(&format!("{path}::")));
        if permitted {
            continue;
        }
        let rule = match row(target) {
            None => format!("`{target}` has no row in LAYERS"),
            Some((other, ..)) => format!(
                "`{target}` is in layer {other}, `{module}` in layer {layer}, which may use only {}",
                allowed.join(", "),
            ),
        };
        found.push(format!("{}: uses `crate::{full}`: {rule}", place(line)));
    }
    found
}

/// The module of the root that a file under `src/` belongs to; `None` for the
/// root itself and for files of tests.
fn module_of(path: &Path) -> Option<String> {
    if path == Path::new("lib.rs")
        || path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
    {
        return None;
    }
    let name = path.iter().next()?.to_str()?;
    Some(name.trim_end_matches(".rs").to_owned())
}

fn is_tests(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

fn row(module: &str) -> Option<Layer> {
    LAYERS
        .iter()
        .find(|(_, modules, _)| modules.contains(&module))
        .copied()
}

fn first(path: &[String]) -> &str {
    path.first().map_or("", String::as_str)
}

/// The files under `src/`, with their paths from there.
fn sources() -> Vec<(PathBuf, String)> {
    fn read(folder: &Path, top: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of sources is readable") {
            let path = entry.expect("a folder of sources is readable").path();
            if path.is_dir() {
                read(&path, top, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source is UTF-8");
                let path = path
                    .strip_prefix(top)
                    .expect("found below the top")
                    .to_owned();
                into.push((path, source));
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    read(&top, &top, &mut found);
    found.sort();
    assert!(
        found.iter().any(|(path, _)| path == Path::new("lib.rs")),
        "no src/lib.rs"
    );
    found
}

/// Root names that `lib.rs` exports again, with the module each comes from.
fn exports() -> BTreeMap<String, String> {
    let (_, root) = sources()
        .into_iter()
        .find(|(path, _)| path == Path::new("lib.rs"))
        .expect("checked");
    exports_of(&root)
}

fn exports_of(root: &str) -> BTreeMap<String, String> {
    let exported: BTreeMap<String, String> = paths_after(&without_comments(root), "pub use ")
        .into_iter()
        .map(|(_, mut path)| {
            path.retain(|part| part != "crate" && part != "self");
            (
                path.last().expect("a path has a name").clone(),
                path[0].clone(),
            )
        })
        // `pub use a::b as c` is found under `c`.
        .collect();
    assert!(!exported.is_empty(), "src/lib.rs exports nothing");
    exported
}

/// The paths that begin after each `prefix`, with their lines. A group gives
/// one path for each of its members.
fn paths_after(code: &str, prefix: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        // Not the tail of a longer name or path: `my_crate::`, `super::super::`.
        let before = code[..start].trim_end().chars().next_back();
        let glued = code[..start].chars().next_back().is_some_and(is_name);
        if glued || before == Some(':') {
            continue;
        }
        let rest = &code[start + prefix.len()..];
        let mut scan = Scan { code: rest, at: 0 };
        let mut paths = Vec::new();
        scan.tree(&[], &mut paths);
        let line = code[..start].matches('\n').count() + 1;
        found.extend(
            paths
                .into_iter()
                .filter(|(_, path)| !path.is_empty())
                .map(|(at, path)| (line + rest[..at].matches('\n').count(), path)),
        );
    }
    found
}

fn is_name(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Reads a use tree: `a::b`, `a::{b, c::d}`, `a::*`, `a as b`.
struct Scan<'a> {
    code: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn tree(&mut self, above: &[String], into: &mut Vec<(usize, Vec<String>)>) {
        self.space();
        let mut path = above.to_vec();
        let start = self.at;
        loop {
            self.space();
            if self.eat("{") {
                loop {
                    self.space();
                    if self.eat("}") || self.at == self.code.len() {
                        return;
                    }
                    let before = self.at;
                    self.tree(&path, into);
                    self.space();
                    if !self.eat(",") && self.at == before {
                        return;
                    }
                }
            }
            let name: String = self.code[self.at..]
                .chars()
                .take_while(|c| is_name(*c))
                .collect();
            if name.is_empty() {
                self.eat("*");
                break;
            }
            self.at += name.len();
            if name != "self" || path.is_empty() {
                path.push(name);
            }
            self.space();
            if !self.eat("::") {
                break;
            }
        }
        if self.eat("as ") {
            self.space();
            let name: String = self.code[self.at..]
                .chars()
                .take_while(|c| is_name(*c))
                .collect();
            self.at += name.len();
            path.push(name);
        }
        into.push((start, path));
    }

    fn space(&mut self) {
        let rest = &self.code[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let ate = self.code[self.at..].starts_with(token);
        self.at += if ate { token.len() } else { 0 };
        ate
    }
}

/// The source with comments and the contents of literals as spaces; lines
/// keep their numbers.
fn without_comments(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let at = |position: usize| text.get(position).copied().unwrap_or('\0');
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < text.len() {
        let start = i;
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < text.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut nested = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (nested, i) = (nested + 1, i + 2),
                        ('*', '/') => (nested, i) = (nested - 1, i + 2),
                        _ => i += 1,
                    }
                    if nested == 0 || i >= text.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if start == 0 || !is_name(at(start - 1)) || at(start - 1) == 'b' => {
                let mut hashes = 0;
                while at(i + 1 + hashes) == '#' {
                    hashes += 1;
                }
                if at(i + 1 + hashes) == '"' {
                    i += 2 + hashes;
                    while i < text.len()
                        && !(at(i) == '"' && (1..=hashes).all(|hash| at(i + hash) == '#'))
                    {
                        i += 1;
                    }
                    i += 1 + hashes;
                } else {
                    // A raw identifier.
                    i += 2;
                    out.extend(&text[start..i]);
                    continue;
                }
            }
            ('"', _) => {
                i += 1;
                while i < text.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                i += 3;
                while i < text.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            (other, _) => {
                out.push(other);
                i += 1;
                continue;
            }
        }
        let end = i.min(text.len());
        out.extend(
            text[start..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
    }
    out
}

/// The code with every item under `#[cfg(test)]` as empty lines.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        let mut depth = 0usize;
        let end = rest[start..]
            .char_indices()
            .find_map(|(position, character)| {
                match character {
                    '{' | '(' | '[' => depth += 1,
                    '}' | ')' | ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let done = depth == 0 && matches!(character, '}' | ';');
                done.then_some(start + position + 1)
            })
            .unwrap_or(rest.len());
        out.extend(
            rest[start..end]
                .chars()
                .filter(|character| *character == '\n'),
        );
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Lines before the first module of unit tests.
fn lines_before_tests(source: &str) -> usize {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

mod the_check_itself {
    use super::*;

    fn check(path: &str, source: &str) -> Vec<String> {
        let root = "pub use close::CloseCode;\npub use socket::{Sender, WebSocket};\n";
        upward(Path::new(path), source, &exports_of(root))
    }

    #[test]
    fn names_file_line_and_rule_of_an_upward_edge() {
        let found = check(
            "protocol/read.rs",
            "use crate::error::Violation;\nuse crate::socket::Shared;\n",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/protocol/read.rs:2: uses `crate::socket::Shared`"));
        assert!(found[0].contains("`socket` is in layer 4, `protocol` in layer 3"));
    }

    #[test]
    fn sees_members_of_groups_over_several_lines() {
        let source = "use crate::{\n    error::{Error, Violation},\n    frame::Header,\n    upgrade::Upgrade,\n};\n";
        let found = check("frame/mod.rs", source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/frame/mod.rs:4: uses `crate::upgrade::Upgrade`"));
    }

    #[test]
    fn sees_paths_in_expressions_and_types() {
        let found = check(
            "message.rs",
            "fn f(x: &crate::protocol::Writer) { crate::hub::g(x) }\n",
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn sees_through_the_names_that_the_root_exports_again() {
        assert_eq!(
            check("protocol/mod.rs", "use crate::CloseCode;\n"),
            Vec::<String>::new()
        );
        let found = check("protocol/mod.rs", "use crate::{CloseCode, WebSocket};\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`crate::socket::WebSocket`"));
    }

    #[test]
    fn sees_super_where_it_means_the_root() {
        assert_eq!(check("message.rs", "use super::frame::utf8;\n").len(), 1);
        assert_eq!(check("frame/mod.rs", "use super::protocol;\n").len(), 1);
        assert_eq!(
            check("frame/mask.rs", "use super::super::protocol;\n").len(),
            1
        );
        // This one is the module's own.
        assert_eq!(check("frame/mask.rs", "use super::protocol;\n").len(), 0);
    }

    #[test]
    fn allows_a_part_of_a_module_without_the_rest() {
        assert_eq!(
            check("hub/mod.rs", "use crate::protocol::Prepared;\n").len(),
            0
        );
        assert_eq!(
            check("hub/mod.rs", "use crate::protocol::{Prepared, Writer};\n").len(),
            1
        );
        assert_eq!(
            check("hub/mod.rs", "use crate::protocol::PreparedElsewhere;\n").len(),
            1
        );
    }

    #[test]
    fn does_not_mistake_comments_literals_and_tests_for_code() {
        let source = r##"
//! See [`WebSocket`](crate::socket::WebSocket).
/* use crate::socket; /* use crate::socket; */ */
const A: &str = "use crate::socket;\" crate::socket";
const B: &str = r#"crate::socket" crate::socket"#;
const C: [char; 3] = ['"', '\'', '\u{22}'];
fn lifetime<'a>(x: &'a str) -> &'a str { x }
fn other() { my_crate::socket::f(); other::crate::socket::f() }
#[cfg(test)]
use crate::socket;
#[cfg(test)]
mod tests {
    use crate::socket::WebSocket;
}
"##;
        assert_eq!(check("frame/mod.rs", source), Vec::<String>::new());
        let after = format!("{source}use crate::socket;\n");
        let found = check("frame/mod.rs", &after);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/frame/mod.rs:15:"), "{found:?}");
    }

    #[test]
    fn keeps_hyper_upgrades_to_two_files() {
        let source = "use hyper::{body::Body, upgrade::OnUpgrade};\n";
        assert_eq!(check("upgrade.rs", source).len(), 0);
        assert_eq!(check("middleware/service.rs", source).len(), 1);
    }

    #[test]
    fn fails_for_a_module_without_a_row() {
        assert_eq!(check("novelty.rs", "").len(), 1);
        assert_eq!(check("hub/mod.rs", "use crate::novelty::x;\n").len(), 1);
    }

    #[test]
    fn counts_lines_up_to_the_module_of_tests() {
        let code = "#[cfg(test)]\nuse x;\n".repeat(300);
        assert_eq!(lines_before_tests(&code), 600);
        assert_eq!(
            lines_before_tests(&format!("{code}#[cfg(test)]\nmod tests {{\n}}\n")),
            600
        );
        assert_eq!(
            lines_before_tests("a\n#[cfg(test)]\nmod tests {\n    b\n}\n"),
            1
        );
    }
}
