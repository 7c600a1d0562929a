//! The rules. Each takes what was read and a table, and returns what breaks it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::tree::{Tree, Use};

/// A row of modules. Names are separated by spaces.
#[derive(Clone, Copy)]
pub(super) struct Layer(
    /// The layer's number.
    pub(super) u8,
    /// The modules. One within another (`a::b`) may have a row of its own.
    pub(super) &'static str,
    /// What they may use: modules of rows above, or modules within those.
    pub(super) &'static str,
);

/// The order in a folder.
#[derive(Clone, Copy)]
pub(super) struct Floors(
    /// The folder.
    pub(super) &'static str,
    /// Its files and folders, lowest floor first.
    pub(super) &'static [&'static str],
);

/// Where the inherent methods of a type stand.
#[derive(Clone, Copy)]
pub(super) struct Home(
    /// The path of the type.
    pub(super) &'static str,
    /// What the paths of the files begin with.
    pub(super) &'static str,
);

/// A part of another crate.
#[derive(Clone, Copy)]
pub(super) struct Foreign(
    /// Its path.
    pub(super) &'static str,
    /// The only modules that may name it.
    pub(super) &'static str,
);

/// What a rule does not hold for yet.
#[derive(Clone, Copy)]
pub(super) struct Exception(
    /// The rule.
    pub(super) &'static str,
    /// Each file of the violation begins with one of these.
    pub(super) &'static str,
    /// Why.
    pub(super) &'static str,
);

/// What breaks a rule.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) rule: &'static str,
    /// The files that it is about, from `src/`.
    pub(super) files: Vec<String>,
    /// For the reader of a failed test: file, line and rule.
    pub(super) text: String,
}

fn violation(rule: &'static str, file: &str, text: String) -> Violation {
    let files = vec![file.to_owned()];
    Violation { rule, files, text }
}

fn shown(used: &Use) -> String {
    let Use {
        file,
        line,
        path,
        to,
        ..
    } = used;
    format!("src/{file}:{line}: uses `{path}` of src/{to}")
}

/// Drops the violations that the table of exceptions excuses.
pub(super) fn without(exceptions: &[Exception], mut found: Vec<Violation>) -> Vec<Violation> {
    found.retain(|violation| {
        !exceptions
            .iter()
            .any(|exception| excuses(exception, violation))
    });
    found
}

pub(super) fn excuses(exception: &Exception, violation: &Violation) -> bool {
    let Exception(rule, at, _) = exception;
    let is_at = |file: &String| at.split(' ').any(|at| file.starts_with(at));
    *rule == violation.rule && violation.files.iter().all(is_at)
}

/// A module uses the modules of its row, which stand in rows above it.
pub(super) fn layers(tree: &Tree, table: &[Layer]) -> Vec<Violation> {
    let rule = "layers";
    let mut found = table_of_layers(tree, table);
    for file in tree.files.iter().filter(|file| !file.module.is_empty()) {
        if row_of(table, &file.module).is_none() {
            let text = format!("src/{}: `{}` has no row in LAYERS", file.path, file.module);
            found.push(violation(rule, &file.path, text));
        }
    }
    for used in &tree.uses {
        let (module, target) = (module_of(tree, &used.file), module_of(tree, &used.to));
        // The root has no row.
        let Some((Layer(layer, _, uses), own)) = row_of(table, module) else {
            continue;
        };
        let other = row_of(table, target);
        // What an allowed module exports again is part of what it offers.
        let mut named = std::iter::once(target).chain(used.via.iter().map(String::as_str));
        let is_allowed = named.any(|name| words(uses).any(|allowed| is_within(name, allowed)));
        if !is_allowed && other.is_none_or(|(_, name)| name != own) {
            let above = other.map_or("no layer".to_owned(), |(row, _)| format!("layer {}", row.0));
            let text = format!(
                "{}: `{target}` is in {above}; `{own}`, in layer {layer}, may use only: {uses}",
                shown(used),
            );
            found.push(violation(rule, &used.file, text));
        }
    }
    found
}

/// The table names modules that exist, each in one row, and allows no circle.
fn table_of_layers(tree: &Tree, table: &[Layer]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for Layer(_, modules, uses) in table {
        for used in words(uses) {
            if !seen.iter().any(|module| is_within(used, module)) {
                let text = format!(
                    "LAYERS: `{modules}` may use `{used}`, which has no row above: that allows a circle"
                );
                found.push(violation("layers", used, text));
            }
        }
        for module in words(modules) {
            if !seen.insert(module) {
                let text = format!("LAYERS: `{module}` has more than one row");
                found.push(violation("layers", module, text));
            }
            if !tree
                .files
                .iter()
                .any(|file| is_within(&file.module, module))
            {
                let text = format!("LAYERS: there is no module `{module}`");
                found.push(violation("layers", module, text));
            }
        }
    }
    found
}

fn words(names: &'static str) -> impl Iterator<Item = &'static str> {
    names.split_whitespace()
}

fn is_within(module: &str, outer: &str) -> bool {
    let rest = module.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The row of a module, and the name in it: the longest that contains the module.
fn row_of(table: &[Layer], module: &str) -> Option<(Layer, &'static str)> {
    let names = table
        .iter()
        .flat_map(|row| words(row.1).map(move |name| (*row, name)));
    let names = names.filter(|(_, name)| is_within(module, name));
    names.max_by_key(|(_, name)| name.len())
}

fn module_of<'a>(tree: &'a Tree, path: &str) -> &'a str {
    let file = tree.files.iter().find(|file| file.path == path);
    &file.expect("a use is of a file that was read").module
}

impl Floors {
    /// The file or folder of the ordered folder that a path leads into.
    fn entry<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.0)?.strip_prefix('/')?;
        let name = rest.split('/').next()?;
        Some(name.strip_suffix(".rs").unwrap_or(name))
    }

    fn floor(&self, entry: &str) -> Option<usize> {
        let is_on = |floor: &&str| floor.split(' ').any(|name| name == entry);
        self.1.iter().position(is_on)
    }

    /// Without a floor, `mod.rs` is a facade.
    fn is_facade(&self, entry: &str) -> bool {
        entry == "mod" && self.floor(entry).is_none()
    }
}

/// Within a folder, a file uses files of lower floors. A folder counts as one.
pub(super) fn floors(tree: &Tree, table: &[Floors]) -> Vec<Violation> {
    let mut found = Vec::new();
    for order in table {
        let folder = order.0;
        found.extend(table_of_floors(tree, order));
        for used in tree.uses.iter().filter(|used| !used.is_export) {
            let entries = order.entry(&used.file).zip(order.entry(&used.to));
            let Some((name, other)) = entries else {
                continue;
            };
            let Some((own, below)) = order.floor(name).zip(order.floor(other)) else {
                continue;
            };
            if name != other && below >= own {
                let text = format!(
                    "{}: in src/{folder}, `{name}` is on floor {own} and `{other}` on {below}; \
                     a file uses lower floors only",
                    shown(used),
                );
                found.push(violation("floors", &used.file, text));
            }
        }
    }
    found
}

/// The table and the folder have the same entries.
fn table_of_floors(tree: &Tree, order: &Floors) -> Vec<Violation> {
    let Floors(folder, floors) = order;
    let paths = tree.files.iter().map(|file| &*file.path);
    let entries: BTreeSet<&str> = paths.filter_map(|path| order.entry(path)).collect();
    let missing = floors.iter().flat_map(|floor| words(floor));
    let missing = missing.filter(|name| !entries.contains(name));
    let missing = missing.map(|name| format!("FLOORS: src/{folder} has no `{name}`"));
    let entries = entries.iter().copied();
    let new = entries.filter(|name| order.floor(name).is_none() && !order.is_facade(name));
    let new = new.map(|name| format!("src/{folder}: `{name}` has no floor in FLOORS"));
    let texts = missing.chain(new);
    texts
        .map(|text| violation("floors", folder, text))
        .collect()
}

/// A facade holds docs, `mod` and `use`.
pub(super) fn facades(tree: &Tree, table: &[Floors]) -> Vec<Violation> {
    let is_facade = |path: &str| {
        let mut orders = table.iter();
        orders.any(|order| path == format!("{}/mod.rs", order.0) && order.is_facade("mod"))
    };
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| is_facade(&file.path)) {
        for code in &file.code {
            let text = format!(
                "src/{}:{}: defines `{}`; a `mod.rs` without a floor holds docs, `mod` and `use`",
                file.path, code.line, code.name,
            );
            found.push(violation("facades", &file.path, text));
        }
    }
    found
}

/// No file uses one that uses it, at whatever distance.
pub(super) fn circles(tree: &Tree) -> Vec<Violation> {
    // Of several uses of one file by another, the first is shown.
    let mut graph = Graph::new();
    for used in tree.uses.iter().filter(|used| !used.is_export) {
        let uses = graph.entry(&*used.file).or_default();
        uses.entry(&*used.to).or_insert(used);
    }
    let files: Vec<&str> = graph.keys().copied().collect();
    let reached = files.iter().map(|file| (*file, reachable(&graph, file)));
    let reached: BTreeMap<&str, BTreeSet<&str>> = reached.collect();

    let mut found = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        if seen.contains(file) || !reached[file].contains(file) {
            continue;
        }
        let tied = |other: &&str| reached.get(other).is_some_and(|of| of.contains(file));
        let circle: Vec<&str> = reached[file].iter().copied().filter(tied).collect();
        seen.extend(&circle);
        let names: Vec<String> = circle.iter().map(|file| format!("src/{file}")).collect();
        let way = way_back(&graph, file).into_iter();
        let way: Vec<String> = way.map(|used| format!("    {}", shown(used))).collect();
        let text = format!(
            "{} files use each other in a circle: {}; one way around is\n{}",
            circle.len(),
            names.join(", "),
            way.join("\n"),
        );
        let files = circle.into_iter().map(str::to_owned).collect();
        found.push(Violation {
            rule: "circles",
            files,
            text,
        });
    }
    found
}

/// The files that a file uses, with one use of each.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Use>>;

fn reachable<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for to in graph.get(file).into_iter().flat_map(|uses| uses.keys()) {
            if reached.insert(*to) {
                next.push(to);
            }
        }
    }
    reached
}

/// A shortest way from a file to itself.
fn way_back<'a>(graph: &Graph<'a>, from: &str) -> Vec<&'a Use> {
    let mut came: BTreeMap<&str, &Use> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(file) = next.pop_front() {
        for (to, used) in graph.get(file).into_iter().flatten() {
            if !came.contains_key(to) {
                came.insert(to, used);
                next.push_back(to);
            }
        }
    }
    let mut way = vec![came[from]];
    while way[way.len() - 1].file != from {
        way.push(came[&*way[way.len() - 1].file]);
    }
    way.reverse();
    way
}

/// The inherent methods of a type stand in the file that defines it, or where
/// the table says.
pub(super) fn homes(tree: &Tree, table: &[Home]) -> Vec<Violation> {
    let mut found = Vec::new();
    for Home(of, _) in table {
        if !tree.impls.iter().any(|block| block.of == *of) {
            let text = format!("HOMES: no type `{of}` has methods");
            found.push(violation("homes", of, text));
        }
    }
    for block in &tree.impls {
        let named = table.iter().find(|Home(of, _)| *of == block.of);
        let home = named.map_or(&*block.home, |Home(_, at)| at);
        if !block.file.starts_with(home) {
            let text = format!(
                "src/{}:{}: `impl {}` stands outside its home, src/{home}",
                block.file, block.line, block.of,
            );
            found.push(violation("homes", &block.file, text));
        }
    }
    found
}

/// Only some modules name certain parts of other crates.
pub(super) fn foreign(tree: &Tree, table: &[Foreign]) -> Vec<Violation> {
    let mut found = Vec::new();
    for Foreign(path, modules) in table {
        let named = tree.foreign.iter();
        for used in named.filter(|used| is_within(&used.path, path)) {
            let module = module_of(tree, &used.file);
            if !words(modules).any(|allowed| is_within(module, allowed)) {
                let (file, line) = (&used.file, used.line);
                let text =
                    format!("src/{file}:{line}: names `{path}`, which only these may: {modules}");
                found.push(violation("foreign", file, text));
            }
        }
    }
    found
}

/// A file is short before its unit tests.
pub(super) fn lengths(tree: &Tree, most: usize) -> Vec<Violation> {
    let long = tree.files.iter().filter(|file| file.lines > most);
    let text = |path: &str, lines| {
        format!("src/{path}: {lines} lines before its tests, {most} at most: split it by types")
    };
    long.map(|file| violation("lengths", &file.path, text(&file.path, file.lines)))
        .collect()
}

/// The rules judge all paths: none of this crate leads nowhere.
pub(super) fn resolved(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for Use {
        file, line, path, ..
    } in &tree.unresolved
    {
        let text = format!("src/{file}:{line}: `{path}` leads to no item that was read");
        found.push(violation("resolved", file, text));
    }
    found
}

/// A test that a comment or a document names exists: a name in backticks of six words or more.
/// (Methods of other crates have fewer.) `functions` are the names of all functions.
pub(super) fn tests(name: &str, text: &str, functions: &HashSet<String>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, text) in text.lines().enumerate() {
        for named in text.split('`').skip(1).step_by(2) {
            let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
            let is_test = named.chars().all(is_name) && named.split('_').count() >= 6;
            if is_test && !functions.contains(named) {
                let text = format!("{name}:{}: there is no test `{named}`", line + 1);
                found.push(violation("tests", name, text));
            }
        }
    }
    found
}

/// A source that a document names (`hub/room.rs`) exists. `files` are the paths
/// of all sources.
pub(super) fn documents(name: &str, document: &str, files: &[String]) -> Vec<Violation> {
    let is_part = |character: char| character.is_alphanumeric() || "_-./".contains(character);
    let mut found = Vec::new();
    for (line, text) in document.lines().enumerate() {
        for named in text.split(|character| !is_part(character)) {
            let named = named.trim_end_matches('.');
            if named.strip_suffix(".rs").is_none_or(str::is_empty) {
                continue;
            }
            let exists = |file: &String| {
                file.strip_suffix(named)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            };
            if !files.iter().any(exists) {
                let text = format!("{name}:{}: there is no `{named}`", line + 1);
                found.push(violation("documents", name, text));
            }
        }
    }
    found
}
