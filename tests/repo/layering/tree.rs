//! Follows each path that a source mentions to the file that defines its item.
//!
//! A name that a facade exports again (`pub use`) counts as a use of the file that
//! defines it. Code for tests only is left out: it may use anything. Calls of
//! methods are not seen: `shared.close()` names no type.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::parse::{self, File, Kind, Mention, Scope, join};

/// The sources below `src/`, and what they use of each other.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    /// Uses of an item in another file.
    pub(super) uses: Vec<Use>,
    /// Paths into other crates; their `to` is empty.
    pub(super) foreign: Vec<Use>,
    pub(super) impls: Vec<Impl>,
    /// Paths of this crate (`crate::..`, `self::..`, `super::..`) that lead nowhere.
    pub(super) unresolved: Vec<Use>,
    scopes: BTreeMap<String, Scope>,
}

/// `file` names `path`, which `to` defines.
pub(super) struct Use {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) path: String,
    pub(super) to: String,
    /// The path of the item from the root.
    pub(super) of: String,
    /// The other modules whose `use` the path leads through.
    pub(super) via: Vec<String>,
    /// A module exports an item of a module within it: that is no use of the item,
    /// but one more place where it is found.
    pub(super) is_export: bool,
}

/// A block of inherent methods.
pub(super) struct Impl {
    pub(super) file: String,
    pub(super) line: usize,
    /// The path of the type from the root: `socket::shared::Shared`.
    pub(super) of: String,
    /// The file that defines the type.
    pub(super) home: String,
}

/// The item that a path leads to; the module itself if it has no name.
struct Target<'a> {
    module: &'a str,
    file: &'a str,
    name: Option<String>,
    via: Vec<String>,
}

impl Tree {
    /// Reads `src/`.
    pub(super) fn of_this_crate() -> Tree {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let sources = files_below(&top, "rs");
        assert!(sources.iter().any(|(path, _)| path == "lib.rs"));
        Tree::new(&sources)
    }

    pub(super) fn new<P: AsRef<str>, S: AsRef<str>>(sources: &[(P, S)]) -> Tree {
        let mut tree = Tree::default();
        let mut mentions = Vec::new();
        for (path, source) in sources {
            let (path, source) = (path.as_ref(), source.as_ref());
            if is_tests(path) {
                continue;
            }
            tree.files
                .push(parse::file(path, source, &mut tree.scopes, &mut mentions));
        }
        for mention in mentions {
            tree.resolve_mention(mention);
        }
        // A file that names an item often does so more than once.
        let mut seen = BTreeSet::new();
        tree.uses.retain(|it| {
            seen.insert((it.file.clone(), it.of.clone(), it.via.clone(), it.is_export))
        });
        tree
    }

    fn resolve_mention(&mut self, mention: Mention) {
        let target = self.resolve(&mention.module, &mention.path, DEPTH);
        let (to, of, via) = match target {
            Some(Target {
                file,
                module,
                name,
                mut via,
            }) => {
                via.retain(|module| *module != mention.module);
                let name = name.or((mention.kind == Kind::Glob).then(|| "*".to_owned()));
                // A module alone is no use yet; the paths through it are.
                let Some(name) = name else { return };
                (file.to_owned(), join(module, &name), via)
            }
            None => Default::default(),
        };
        let is_export = mention.kind == Kind::Export && is_below(&of, &mention.module);
        let mut path = mention.path.join("::");
        if mention.kind == Kind::Glob {
            path.push_str("::*");
        }
        let (file, line) = (mention.file, mention.line);
        if mention.kind == Kind::Impl {
            if !to.is_empty() {
                let home = to;
                self.impls.push(Impl {
                    file,
                    line,
                    of,
                    home,
                });
            }
        } else if to != file {
            let own = matches!(mention.path[0].as_str(), "crate" | "self" | "super");
            let kind = match (to.is_empty(), own) {
                (false, _) => &mut self.uses,
                (true, true) => &mut self.unresolved,
                (true, false) => &mut self.foreign,
            };
            kind.push(Use {
                file,
                line,
                path,
                to,
                of,
                via,
                is_export,
            });
        }
    }

    /// Follows a path as it stands in `module`.
    fn resolve(&self, module: &str, path: &[String], depth: usize) -> Option<Target<'_>> {
        // A circle of imports, which the compiler does not accept either.
        let depth = depth.checked_sub(1)?;
        let (mut module, mut path) = (module, path);
        match path.first().map(String::as_str) {
            Some("crate") => (module, path) = ("", &path[1..]),
            Some("self") => path = &path[1..],
            _ => {}
        }
        while path.first().is_some_and(|name| name == "super") {
            (module, path) = (parent(module)?, &path[1..]);
        }
        self.find(module, path, depth)
    }

    fn find(&self, module: &str, path: &[String], depth: usize) -> Option<Target<'_>> {
        let (module, scope) = self.scopes.get_key_value(module)?;
        let target = |name| Target {
            module,
            file: &scope.file,
            name,
            via: Vec::new(),
        };
        let follow = |import: &[String], rest: &[String]| {
            let mut target = self.resolve(module, &[import, rest].concat(), depth)?;
            target.via.push(module.to_owned());
            Some(target)
        };
        let Some((name, rest)) = path.split_first() else {
            return Some(target(None));
        };
        let child = join(module, name);
        let child = self.scopes.contains_key(&child).then_some(child);
        // A module and a function may share a name; only the module has members.
        let in_child = child.as_ref().filter(|_| !rest.is_empty());
        if let Some(found) = in_child.and_then(|child| self.find(child, rest, depth)) {
            return Some(found);
        }
        if scope.items.contains(name) {
            return Some(target(Some(name.clone())));
        }
        if let Some(import) = scope.imports.get(name) {
            return follow(import, rest);
        }
        if let Some(child) = child {
            return self.find(&child, rest, depth);
        }
        scope.globs.iter().find_map(|glob| follow(glob, path))
    }
}

/// More imports of imports than there ever are.
const DEPTH: usize = 16;

/// Files below `top` with the extension, by their paths from there, and their contents.
pub(super) fn files_below(top: &Path, extension: &str) -> Vec<(String, String)> {
    fn read(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources is readable") {
            let path = entry.expect("a folder of sources is readable").path();
            if path.is_dir() {
                // Builds of packages of their own.
                if !path.ends_with("target") {
                    read(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    read(top, &mut found);
    found.retain(|path| path.extension().is_some_and(|it| it == extension));
    found.sort();
    let text = |path: &Path| fs::read_to_string(path).expect("a source is UTF-8");
    let name = |path: &Path| {
        let path = path.strip_prefix(top).expect("found below the top");
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    };
    found.iter().map(|path| (name(path), text(path))).collect()
}

/// Files that hold nothing but tests, or what the fuzz targets reach.
fn is_tests(path: &str) -> bool {
    path.split('/')
        .any(|part| ["tests", "tests.rs", "fuzzing.rs"].contains(&part))
}

fn is_below(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    rest.is_some_and(|rest| module.is_empty() || rest.starts_with("::"))
}

fn parent(module: &str) -> Option<&str> {
    match module.rsplit_once("::") {
        Some((parent, _)) => Some(parent),
        None => (!module.is_empty()).then_some(""),
    }
}
