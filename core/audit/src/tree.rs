//! A Merkle tree over the records' hashes (RFC 9162, section 2.1), of which only the peaks are kept.

use tapgate_model::Digest;
pub(crate) use tapgate_proof::sha256;

/// The tree of a log so far. It grows by one leaf a record, and keeps one hash for each bit that is set in its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// The roots of its whole subtrees, the largest first.
    peaks: Vec<Digest>,
}

impl Tree {
    /// The tree of this many records with these peaks; nothing where there are more or fewer than such a tree has.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (u32::try_from(peaks.len()) == Ok(size.count_ones())).then_some(Self { size, peaks })
    }

    /// How many records it is over.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its peaks, the largest subtree's first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Adds a record, by its hash.
    pub fn push(&mut self, record: &Digest) {
        let mut hash = sha256(&[&[0], record.as_bytes()]);
        let mut left = self.size;
        while left & 1 == 1
            && let Some(peak) = self.peaks.pop()
        {
            hash = node(&peak, &hash);
            left >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree's head.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*smallest, |right, left| node(left, &right))
    }
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in RFC 9162, word for word.
    fn defined(records: &[Digest]) -> Digest {
        match records {
            [] => sha256(&[]),
            [one] => sha256(&[&[0], one.as_bytes()]),
            many => {
                let split = many.len().next_power_of_two() / 2;
                node(&defined(&many[..split]), &defined(&many[split..]))
            }
        }
    }

    #[test]
    fn the_head_is_the_one_that_is_defined() {
        let records: Vec<Digest> = (0..70_u8).map(|n| sha256(&[&[n]])).collect();
        let mut tree = Tree::default();
        for (n, record) in records.iter().enumerate() {
            assert_eq!(tree.root(), defined(&records[..n]), "{n} records");
            let again = Tree::from_peaks(tree.size(), tree.peaks().to_vec());
            assert_eq!(again.as_ref(), Some(&tree));
            tree.push(record);
        }
        assert_eq!(Tree::from_peaks(3, vec![records[0]]), None);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Tree::default().root().to_string(), empty);
    }
}
