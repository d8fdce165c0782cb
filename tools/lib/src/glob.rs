// SPDX-License-Identifier: GPL-2.0
//! Patterns as in `fnmatch(3)` without flags: `*` and `?` match `/`, too.

/// Whether `text` as a whole matches `pattern`: `*`, `?`, `[a-z]`, `[!a]`, `\` before a
/// character that shall stand for itself.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if a star has to take one more byte: behind it, and in the text.
    let mut retry = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        let step = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(_), Some(&byte)) => one(&pattern[p..], byte),
            _ => None,
        };
        if let Some(length) = step {
            p += length;
            t += 1;
            continue;
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// How long the element at the start of `pattern` is, if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => match class(rest, byte) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            // A bracket that is never closed stands for itself.
            None => (byte == b'[').then_some(1),
        },
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether `byte` is in the class that begins behind a bracket, and how long that is with its
/// closing bracket; `None` if it is not closed.
fn class(class: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(class.first(), Some(b'!' | b'^'));
    let first = usize::from(negated);
    let mut i = first;
    let mut found = false;
    loop {
        let low = match (class.get(i)?, class.get(i + 1)) {
            (b']', _) if i > first => return Some((found != negated, i + 1)),
            (b'\\', Some(escaped)) => {
                i += 1;
                *escaped
            }
            (literal, _) => *literal,
        };
        i += 1;
        let high = match (class.get(i), class.get(i + 1)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                i += 2;
                *high
            }
            _ => low,
        };
        found |= (low..=high).contains(&byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
        for text in no {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn stars_match_slashes() {
        check(
            "/etc/*",
            &["/etc/", "/etc/a", "/etc/a/b"],
            &["/etc", "/usr/etc/a"],
        );
        check("*.db", &["/a.db", "/var/lib/x.db"], &["/a.dbx"]);
        check("/a*b*c", &["/abc", "/a/b/b/c"], &["/ab", "/abcd"]);
        check("*", &["", "/", "/x"], &[]);
    }

    #[test]
    fn one_byte() {
        check("/?", &["/a", "//"], &["/", "/ab"]);
        check("/[a-c]x", &["/ax", "/cx"], &["/dx", "/x"]);
        check("/[!a-c]", &["/d", "/-"], &["/a", "/"]);
        check("/[]a]", &["/]", "/a"], &["/b"]);
        check("/[a-]", &["/a", "/-"], &["/b"]);
        check("/[", &["/["], &["/a"]);
    }

    #[test]
    fn escapes() {
        check(r"/\*", &["/*"], &["/a"]);
        check(r"/[\]]", &["/]"], &["/a", r"/\"]);
        check("/a\\", &["/a\\"], &["/a"]);
    }

    #[test]
    fn many_stars_end_in_time() {
        let text = vec![b'a'; 4000];
        assert!(!matches(b"*a*a*a*a*a*a*b", &text));
    }
}
