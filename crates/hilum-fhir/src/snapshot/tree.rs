//! Elements as a tree: slices stand behind what they are slices of, under the same name.

use super::SnapshotError;
use super::element::Element;

/// Levels of a tree.
pub(super) const DEPTH_MAX: usize = 40;

/// An element with those below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) element: Element,
    /// The last name of the path, with `[x]`.
    pub(super) name: String,
    pub(super) slice: Option<String>,
    pub(super) children: Vec<Self>,
}

impl Node {
    /// The tree of a list of elements. What a sparse list leaves out is there, and says nothing.
    pub(super) fn of(list: Vec<Element>, ty: &str) -> Result<Self, SnapshotError> {
        let mut root = Self {
            name: ty.to_owned(),
            ..Self::default()
        };
        // The slices that are open, for lists without ids: paths and names.
        let mut open: Vec<(String, String)> = Vec::new();
        for element in list {
            let path = element.text("path").unwrap_or_default();
            let wrong = || SnapshotError::Path(path.clone());
            let mut segments = segments(&element, &path, &mut open).ok_or_else(wrong)?;
            if segments.len() > DEPTH_MAX || segments.iter().any(|(name, _)| name.is_empty()) {
                return Err(wrong());
            }
            let (first, _) = segments.remove(0);
            if first != ty {
                return Err(wrong());
            }
            let Some(last) = segments.pop() else {
                root.element = element;
                continue;
            };
            let mut place = &mut root;
            for segment in segments {
                place = place.enter(segment);
            }
            let again = place
                .children
                .iter()
                .any(|child| child.name == last.0 && child.slice == last.1 && child.is_said());
            if again {
                return Err(SnapshotError::Twice(path));
            }
            place.enter(last).element = element;
        }
        Ok(root)
    }

    fn is_said(&self) -> bool {
        self.element.raw("path").is_some()
    }

    /// The child with this name and slice, made where it is not there.
    fn enter(&mut self, (name, slice): (String, Option<String>)) -> &mut Self {
        let known = |child: &Self| child.name == name && child.slice == slice;
        let at = self.children.iter().position(known).unwrap_or_else(|| {
            self.children.push(Self {
                name: name.clone(),
                slice: slice.clone(),
                ..Self::default()
            });
            self.children.len() - 1
        });
        nth(&mut self.children, at)
    }

    /// The elements in order, each with its path and id.
    pub(super) fn list(&self) -> Vec<Element> {
        let mut found = Vec::new();
        self.push(&self.name, &self.name, &mut found);
        found
    }

    fn push(&self, path: &str, id: &str, into: &mut Vec<Element>) {
        let mut element = Element::default();
        element.set_text("id", id);
        element.set_text("path", path);
        element.take(&self.element);
        into.push(element);
        for child in &self.children {
            let path = format!("{path}.{}", child.name);
            let id = match &child.slice {
                Some(slice) => format!("{id}.{}:{slice}", child.name),
                None => format!("{id}.{}", child.name),
            };
            child.push(&path, &id, into);
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "the place was found or made in the line before"
)]
pub(super) fn nth(list: &mut [Node], at: usize) -> &mut Node {
    &mut list[at]
}

type Segment = (String, Option<String>);

/// The names and slices on the way to an element, from its id or from what came before.
fn segments(
    element: &Element,
    path: &str,
    open: &mut Vec<(String, String)>,
) -> Option<Vec<Segment>> {
    let inside = |own: &str| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let id = element.text("id").filter(|id| fits(id, path));
    let own = element.text("sliceName");
    if let Some(id) = id.filter(|id| {
        own.is_none() || id.ends_with(&format!(":{}", own.as_deref().unwrap_or_default()))
    }) {
        let segment = |part: &str| match part.split_once(':') {
            Some((name, slice)) => (name.to_owned(), Some(slice.to_owned())),
            None => (part.to_owned(), None),
        };
        let segments: Vec<Segment> = id.split('.').map(segment).collect();
        // Ids may be missing further down.
        open.retain(|(own, _)| inside(own));
        if let Some((_, Some(slice))) = segments.last() {
            open.push((path.to_owned(), slice.clone()));
        }
        return Some(segments);
    }
    open.retain(|(own, _)| inside(own));
    let mut segments = Vec::new();
    let mut end = 0;
    for part in path.split('.') {
        end += part.len();
        let so_far = path.get(..end)?;
        end += 1;
        let known = open.iter().find(|(own, _)| *own == so_far);
        segments.push((part.to_owned(), known.map(|(_, slice)| slice.clone())));
    }
    if let Some(slice) = own {
        open.push((path.to_owned(), slice.clone()));
        if let Some(last) = segments.last_mut() {
            last.1 = Some(slice);
        }
    }
    Some(segments)
}

/// Whether an id says the same as a path, apart from slices.
fn fits(id: &str, path: &str) -> bool {
    let names = id
        .split('.')
        .map(|part| part.split_once(':').map_or(part, |(name, _)| name));
    names.eq(path.split('.'))
}
