// SPDX-License-Identifier: GPL-2.0
//! Takes the ABI from `include/uapi/linux/vserver.h` by way of the C compiler.
//!
//! Every object-like macro and enumerator of the header becomes a Rust constant of
//! the type and value the C compiler gives it. For the structures named in
//! `src/layout.rs` the sizes and offsets become constants too; the crate
//! asserts that its own structures have them, so that a mismatch fails the
//! build.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A structure's C name and its fields.
type Struct = (&'static str, &'static [&'static str]);

macro_rules! for_each_struct {
    ($($rust:ident = $c:ident { $($field:ident),* $(,)? })*) => {
        const STRUCTS: &[Struct] = &[$((stringify!($c), &[$(stringify!($field)),*])),*];
    };
}
include!("src/layout.rs");

/// Prints one constant as Rust, with the type that C has found for it.
const PRINT: &str = r#"
#define PRINT(name) _Generic((name), \
    char *: print_str, const char *: print_str, \
    int: print_int, default: print_uint)(#name, sizeof(name), name)
static void print_str(const char *n, unsigned long s, const char *v) {
    (void)s;
    printf("/// `%s` of the header.\npub const %s: &str = \"%s\";\n", n, n, v);
}
static void print_int(const char *n, unsigned long s, int v) {
    (void)s;
    printf("/// `%s` of the header.\npub const %s: u32 = %#x;\n", n, n, (unsigned)v);
}
static void print_uint(const char *n, unsigned long s, unsigned long long v) {
    printf("/// `%s` of the header.\npub const %s: u%lu = %#llx;\n", n, n, s * 8, v);
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let include = manifest.join("../../include/uapi");
    let header = include.join("linux/vserver.h");
    println!("cargo::rerun-if-changed={}", header.display());
    println!("cargo::rerun-if-changed=src/layout.rs");
    println!("cargo::rerun-if-env-changed=HOSTCC");

    let text = fs::read_to_string(&header)
        .map_err(|e| format!("the ABI header {}: {e}", header.display()))?;
    let source = out.join("abi.c");
    fs::write(&source, program(&text)?)?;
    fs::write(
        out.join("abi.rs"),
        compile_and_run(&source, &include, &out)?,
    )?;
    Ok(())
}

/// The names of the header's constants: macros with a value and no parameters, enumerators.
fn constants(header: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut in_enum = false;
    for line in header.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("#define"), Some(name), Some(_)) if !name.contains('(') => names.push(name),
            (Some("enum"), ..) => in_enum = true,
            (Some("};"), ..) => in_enum = false,
            (Some(name), Some("="), _) if in_enum => names.push(name),
            _ => {}
        }
    }
    names
}

/// The C program that prints the constants and layouts as Rust.
fn program(header: &str) -> Result<String, std::fmt::Error> {
    let mut c =
        String::from("#include <stdio.h>\n#include <stddef.h>\n#include <linux/vserver.h>\n");
    c.push_str(PRINT);
    c.push_str("int main(void) {\n");
    for name in constants(header) {
        writeln!(c, "PRINT({name});")?;
    }
    c.push_str(
        "puts(\"/// All commands, old versions too.\\npub const COMMANDS: &[u32] = &[\");\n",
    );
    for name in constants(header) {
        if name.starts_with("VCMD_") {
            writeln!(c, "puts(\"{name},\");")?;
        }
    }
    c.push_str("puts(\"];\");\n");
    c.push_str("puts(\"/// Sizes and offsets of the structures.\");\n");
    c.push_str("puts(\"pub(crate) mod layout {\");\n");
    for (name, fields) in STRUCTS {
        writeln!(c, "puts(\"pub(crate) mod {name} {{\");")?;
        writeln!(
            c,
            "printf(\"pub(crate) const SIZE: usize = %zu;\\n\", sizeof(struct {name}));"
        )?;
        for field in *fields {
            writeln!(
                c,
                "printf(\"pub(crate) const {field}: (usize, usize) = (%zu, %zu);\\n\", \
                 offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));"
            )?;
        }
        c.push_str("puts(\"}\");\n");
    }
    c.push_str("puts(\"}\");\nreturn 0;\n}\n");
    Ok(c)
}

/// Compiles the program against the header and returns what it prints.
fn compile_and_run(source: &Path, include: &Path, out: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let cc = env::var("HOSTCC").unwrap_or_else(|_| "cc".into());
    let program = out.join("abi");
    let compiled = Command::new(&cc)
        .args(["-std=gnu11", "-Wall", "-Werror", "-I"])
        .arg(include)
        .arg(source)
        .arg("-o")
        .arg(&program)
        .status()
        .map_err(|e| format!("the C compiler {cc} (name another by HOSTCC=): {e}"))?;
    if !compiled.success() {
        return Err(format!("{cc} could not read include/uapi/linux/vserver.h, see above").into());
    }
    let run = Command::new(&program).output()?;
    if !run.status.success() {
        return Err(format!("{} failed: {}", program.display(), run.status).into());
    }
    Ok(run.stdout)
}
