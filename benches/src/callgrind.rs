//! Parses the output of callgrind: the number of executed instructions, and of atomic
//! read-modify-writes among them.
//!
//! callgrind counts each instruction by its address (`--dump-instr=yes`). objdump lists the
//! addresses with a `lock` prefix, or with an `xchg` with memory, which locks without one. This
//! covers the program and the libraries it loads, on x86-64.

use std::collections::{HashMap, HashSet};
use std::io;
use std::process::{Command, Stdio};

/// Returns the total number of instructions.
pub(crate) fn instructions(text: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let sum = line
            .strip_prefix("summary:")
            .or(line.strip_prefix("totals:"));
        sum?.trim().parse().ok()
    })
}

/// The addresses of read-modify-writes in each object; an object is disassembled once.
#[derive(Default)]
pub(crate) struct Locks(HashMap<String, HashSet<u64>>);

impl Locks {
    /// Returns the number of executed read-modify-writes.
    ///
    /// # Errors
    /// Returns an error if objdump cannot be run.
    pub(crate) fn executed(&mut self, text: &str) -> io::Result<f64> {
        let mut names = HashMap::new();
        let (mut object, mut address, mut is_call) = (String::new(), 0_u64, false);
        let mut sum = 0.0;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("cob=") {
                resolve(&mut names, name);
            } else if let Some(name) = line.strip_prefix("ob=") {
                object = resolve(&mut names, name);
            } else if line.starts_with("calls=") {
                // The next line has the cost of the called function.
                is_call = true;
            } else if let Some((at, cost)) = cost(line, address) {
                address = at;
                if !std::mem::take(&mut is_call) && self.of(&object)?.contains(&address) {
                    sum += cost;
                }
            }
        }
        Ok(sum)
    }

    fn of(&mut self, object: &str) -> io::Result<&HashSet<u64>> {
        if !self.0.contains_key(object) {
            let addresses = locked(object)?;
            self.0.insert(object.to_owned(), addresses);
        }
        Ok(&self.0[object])
    }
}

/// Resolves a name: `(3) /lib/libc.so` defines a number for it, `(3)` alone refers to it.
fn resolve(names: &mut HashMap<String, String>, text: &str) -> String {
    let (number, name) = text.split_once(' ').unwrap_or((text, ""));
    if !name.is_empty() {
        names.insert(number.to_owned(), name.to_owned());
    }
    names.get(number).cloned().unwrap_or_default()
}

/// Parses `ADDRESS LINE COUNT`; the address is absolute or relative to that of the last such line.
fn cost(line: &str, last: u64) -> Option<(u64, f64)> {
    let mut fields = line.split(' ');
    let at = fields.next()?;
    let parse = |digits: &str| {
        let hex = digits.strip_prefix("0x");
        hex.map_or_else(
            || digits.parse().ok(),
            |hex| u64::from_str_radix(hex, 16).ok(),
        )
    };
    let address = match at.as_bytes().first()? {
        b'*' => last,
        b'+' => last.wrapping_add(parse(&at[1..])?),
        b'-' => last.wrapping_sub(parse(&at[1..])?),
        b'0'..=b'9' => parse(at)?,
        _ => return None,
    };
    let count = fields.nth(1)?.parse().ok()?;
    Some((address, count))
}

fn locked(object: &str) -> io::Result<HashSet<u64>> {
    let output = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn", object])
        .stderr(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let addresses = text.lines().filter_map(|line| {
        let (address, instruction) = line.trim_start().split_once(":\t")?;
        let locks = instruction.starts_with("lock ")
            || (instruction.starts_with("xchg ") && instruction.contains('('));
        u64::from_str_radix(address, 16).ok().filter(|_| locks)
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_addresses_are_resolved_and_calls_are_not_counted() {
        let text = "summary: 99\nob=(1) a\nfn=(1) f\n0x10 0 5\n+4 0 7\ncob=(2) b\ncfn=(2)\n\
                    calls=3 0x10 0\n* 0 1000\n-0x4 0 1\nob=(2)\n0x14 0 100\n";
        let at = |addresses: &[u64]| addresses.iter().copied().collect();
        let mut locks = Locks::default();
        locks.0.insert("a".into(), at(&[0x14]));
        locks.0.insert("b".into(), at(&[]));
        assert_eq!(locks.executed(text).unwrap(), 7.0);
        locks.0.insert("a".into(), at(&[0x10]));
        locks.0.insert("b".into(), at(&[0x14]));
        assert_eq!(locks.executed(text).unwrap(), 106.0);
        assert_eq!(instructions(text), Some(99.0));
    }
}
