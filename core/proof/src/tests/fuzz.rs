//! The fuzz bodies over a corpus, for a bounded number of rounds with a fixed seed.

use super::{RANDOM, everything, rp};
use crate::fuzz::{fuzz_proof, fuzz_statement};
use crate::testing::SoftKey;
use crate::{Proof, Statement};

/// A small generator (xorshift), so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    /// A corpus entry after one to four accidents.
    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut data = corpus[self.roll(corpus.len())].clone();
        for _ in 0..=self.roll(4) {
            let (at, other) = (self.roll(data.len()), &corpus[self.roll(corpus.len())]);
            match self.roll(6) {
                0 => data.truncate(at),
                1 => data.insert(at, self.byte()),
                2 if !data.is_empty() => drop(data.remove(at)),
                3 => data.extend_from_slice(&other[self.roll(other.len())..]),
                _ if !data.is_empty() => data[at] = self.byte(),
                _ => {}
            }
        }
        data
    }
}

#[test]
fn bodies_hold_on_the_corpus_and_its_mutations() {
    let keys = [SoftKey::generate(), SoftKey::generate_eddsa()];
    let statements: Vec<_> = everything().into_iter().map(|parts| Statement::new(parts).unwrap()).collect();
    let proofs = statements.iter().zip(keys.iter().cycle()).map(|(statement, key)| key.tap(statement, RANDOM, &rp()));
    let proofs: Vec<_> = proofs.map(|proof| proof.to_der().unwrap()).collect();
    let statements: Vec<_> = statements.iter().map(Statement::to_der).collect();
    statements.iter().chain(&proofs).chain([&Vec::new()]).for_each(|data| {
        fuzz_statement(data);
        fuzz_proof(data);
    });
    let mut dice = Dice(0x7467);
    let mut read = [0_u32; 2];
    for _ in 0..20_000 {
        let data = dice.mutate(&statements);
        fuzz_statement(&data);
        read[0] += u32::from(Statement::from_der(&data).is_ok());
        let data = dice.mutate(&proofs);
        fuzz_proof(&data);
        read[1] += u32::from(Proof::from_der(&data).is_ok());
    }
    assert!(read.iter().all(|count| *count > 100), "too few mutations are read at all: {read:?}");
}
