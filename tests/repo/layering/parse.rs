//! Reads one source: the names that it defines, and those that it mentions.
//!
//! `syn` does the parsing, so comments, literals and formatting cannot mislead the
//! rules. It does not look into macros. Their content is read here: as items if it
//! can be (`pin_project!`), else only for the paths in it (`assert!`).

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, Meta, Token, Type, UseTree, Visibility};

/// A source.
pub(super) struct File {
    /// From `src/`: `socket/mod.rs`.
    pub(super) path: String,
    /// `socket`; empty for `lib.rs`.
    pub(super) module: String,
    /// The number of lines before the unit tests.
    pub(super) lines: usize,
    /// Its items that are neither `use` nor `mod name;`.
    pub(super) code: Vec<Located>,
}

/// A name, and where it stands.
pub(super) struct Located {
    pub(super) name: String,
    pub(super) line: usize,
}

/// The names of a module.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) file: String,
    pub(super) items: BTreeSet<String>,
    pub(super) imports: BTreeMap<String, Vec<String>>,
    pub(super) globs: Vec<Vec<String>>,
}

/// A path as it stands in a file, not yet resolved.
pub(super) struct Mention {
    pub(super) file: String,
    pub(super) module: String,
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
}

#[derive(PartialEq)]
pub(super) enum Kind {
    Import,
    /// `pub use`, with any `pub`.
    Export,
    Glob,
    Path,
    Impl,
}

/// Reads a source; its names go into `scopes`, and the paths in it into `mentions`.
pub(super) fn file(
    path: &str,
    source: &str,
    scopes: &mut BTreeMap<String, Scope>,
    mentions: &mut Vec<Mention>,
) -> File {
    let syntax =
        syn::parse_file(source).unwrap_or_else(|error| panic!("src/{path} is not Rust: {error}"));
    let mut reader = Reader {
        file: path,
        module: module_of(path),
        scopes,
        mentions,
    };
    reader.scope();
    reader.visit_file(&syntax);
    File {
        path: path.to_owned(),
        module: module_of(path),
        lines: lines_before_tests(source),
        code: code_of(&syntax),
    }
}

/// `socket/shared/mod.rs` is `socket::shared`.
fn module_of(path: &str) -> String {
    let name = path.strip_suffix(".rs").unwrap_or(path);
    let name = name.strip_suffix("/mod").unwrap_or(name);
    if name == "lib" {
        String::new()
    } else {
        name.replace('/', "::")
    }
}

fn lines_before_tests(source: &str) -> usize {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

fn code_of(syntax: &syn::File) -> Vec<Located> {
    let items = syntax
        .items
        .iter()
        .filter(|item| !is_for_tests(attributes(item)));
    let code = items.filter_map(|item| {
        let (name, at) = match item {
            Item::Use(_) => return None,
            Item::Mod(module) if module.content.is_none() => return None,
            Item::Mod(module) => (module.ident.to_string(), module.ident.span()),
            Item::Impl(item) => ("impl".to_owned(), item.impl_token.span),
            Item::Macro(item) if item.ident.is_none() => {
                let name = &item.mac.path.segments[0].ident;
                (format!("{name}!"), name.span())
            }
            item => {
                let name = name_of(item)?;
                (name.to_string(), name.span())
            }
        };
        Some(Located {
            name,
            line: at.start().line,
        })
    });
    code.collect()
}

/// Visits one file and collects its names and paths.
struct Reader<'a> {
    file: &'a str,
    /// The module of the file, or an inline module in it.
    module: String,
    scopes: &'a mut BTreeMap<String, Scope>,
    mentions: &'a mut Vec<Mention>,
}

impl Reader<'_> {
    fn scope(&mut self) -> &mut Scope {
        let scope = self.scopes.entry(self.module.clone()).or_default();
        scope.file = self.file.to_owned();
        scope
    }

    fn mention(&mut self, kind: Kind, at: Span, path: Vec<String>) {
        self.mentions.push(Mention {
            file: self.file.to_owned(),
            module: self.module.clone(),
            line: at.start().line,
            path,
            kind,
        });
    }

    /// The names of a `use`.
    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, is_export: bool) {
        let (ident, name) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.import(&tree.tree, path, is_export);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone(), is_export);
                }
                return;
            }
            UseTree::Glob(glob) => {
                self.scope().globs.push(path.clone());
                return self.mention(Kind::Glob, glob.star_token.span, path);
            }
            UseTree::Name(tree) => (&tree.ident, &tree.ident),
            UseTree::Rename(tree) => (&tree.ident, &tree.rename),
        };
        // `use a::b::{self}` is `use a::b`.
        if ident != "self" || path.is_empty() {
            path.push(ident.to_string());
        }
        let own = path.last().expect("has a name");
        let name = if name == "self" {
            own.clone()
        } else {
            name.to_string()
        };
        self.scope().imports.entry(name).or_insert(path.clone());
        let kind = if is_export {
            Kind::Export
        } else {
            Kind::Import
        };
        self.mention(kind, ident.span(), path);
    }

    /// Paths among tokens that are not parsed: those of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, mark: char| matches!(tokens.get(at), Some(TokenTree::Punct(found)) if found.as_char() == mark);
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let (start, mut path) = (at, vec![first.to_string()]);
                    while let (true, true, Some(TokenTree::Ident(name))) =
                        (is(at + 1, ':'), is(at + 2, ':'), tokens.get(at + 3))
                    {
                        path.push(name.to_string());
                        at += 3;
                    }
                    let is_tail = start > 0 && (is(start - 1, ':') || is(start - 1, '.'));
                    if !is_tail {
                        self.mention(Kind::Path, first.span(), path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        if let Some(name) = name_of(item) {
            self.scope().items.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_none() {
            return;
        }
        let outer = self.module.clone();
        self.module = join(&outer, &module.ident.to_string());
        self.scope();
        visit::visit_item_mod(self, module);
        self.module = outer;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            let is_export = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, Vec::new(), is_export);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            self.mention(Kind::Impl, item.impl_token.span, names(&of.path));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(item) => &item.attrs[..],
            syn::ImplItem::Const(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(Kind::Path, path.segments[0].ident.span(), names(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        // Either items, as in `pin_project! { struct .. }`, or anything.
        match syn::parse2::<syn::File>(item.tokens.clone()) {
            Ok(items) => Visit::visit_file(self, &items),
            Err(_) => self.tokens(item.tokens.clone()),
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn names(path: &syn::Path) -> Vec<String> {
    let names = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string());
    names.collect()
}

fn name_of(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item is left out of every build but those of the tests and of the fuzz targets.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|it| it.path().is_ident("cfg"));
    let mut conditions = conditions.filter_map(|it| it.parse_args::<Meta>().ok());
    conditions.any(|condition| needs_test(&condition))
}

fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        let path = condition.path();
        return path.is_ident("test") || path.is_ident("fuzzing");
    };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let parts = parts.unwrap_or_default();
    match () {
        () if list.path.is_ident("all") => parts.iter().any(needs_test),
        () if list.path.is_ident("any") => parts.iter().all(needs_test),
        () => false,
    }
}

pub(super) fn join(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}::{name}")
    }
}
