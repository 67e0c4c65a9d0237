//! Any cut leaves a prefix, any damage is noticed.

use proptest::prelude::*;

use super::*;

type Plain = (u8, Vec<u8>);

fn write(path: &Path, records: &[Plain]) -> u64 {
    let mut file = Appender::create(path).unwrap();
    for (kind, payload) in records {
        file.append(*kind, payload).unwrap();
    }
    file.end()
}

fn read_all(path: &Path) -> Result<(Vec<Plain>, Extent)> {
    let mut records = Vec::new();
    let extent = read(path, &mut |record| {
        records.push((record.kind, record.payload));
        Ok(())
    })?;
    Ok((records, extent))
}

fn records() -> impl Strategy<Value = Vec<Plain>> {
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    prop::collection::vec((any::<u8>(), payload), 0..8)
}

proptest! {
    #[test]
    fn any_truncation_gives_a_prefix_that_goes_on(records in records(), cut in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let length = write(&path, &records);
        let cut = cut.index(length as usize + 1) as u64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let (read, extent) = read_all(&path).unwrap();
        prop_assert!(records.starts_with(&read));
        prop_assert_eq!(extent.end + extent.torn, cut);
        if cut == length {
            prop_assert_eq!(read.len(), records.len());
        }
        let mut file = Appender::go_on(&path, extent.end).unwrap();
        file.append(9, b"after").unwrap();
        let (again, extent) = read_all(&path).unwrap();
        prop_assert_eq!(extent, Extent { end: file.end(), torn: 0 });
        prop_assert_eq!(again.len(), read.len() + 1);
    }

    #[test]
    fn any_changed_byte_is_noticed(
        records in records(), place in any::<prop::sample::Index>(), change in 1..=255_u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, &records);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        std::fs::write(&path, &bytes).unwrap();
        match read_all(&path) {
            Err(error) => prop_assert!(error.to_string().contains("(byte "), "{}", error),
            Ok((read, extent)) => {
                prop_assert!(extent.torn > 0 && read.len() < records.len());
                prop_assert!(records.starts_with(&read));
            }
        }
    }
}

#[test]
fn damage_before_the_last_record_is_refused_and_after_it_is_a_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, &[(1, b"one".to_vec()), (1, b"two".to_vec())]);
    let whole = std::fs::read(&path).unwrap();
    let second = MAGIC.len() + HEAD + 3;

    for at in [MAGIC.len(), MAGIC.len() + HEAD] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = read_all(&path).unwrap_err().to_string();
        assert!(error.contains("(byte 8)"), "{error}");
        assert!(
            error.contains(&format!("follows at byte {second}")),
            "{error}"
        );
    }

    let mut bytes = whole.clone();
    bytes[second + HEAD] ^= 1;
    bytes.extend_from_slice(&[0; 100]);
    std::fs::write(&path, &bytes).unwrap();
    let (read, extent) = read_all(&path).unwrap();
    assert_eq!(read, [(1, b"one".to_vec())]);
    assert_eq!(extent.torn as usize, HEAD + 3 + 100);
}

#[test]
fn what_is_no_file_of_records_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "something else entirely").unwrap();
    assert!(
        read_all(&path)
            .unwrap_err()
            .to_string()
            .contains("does not begin")
    );
    std::fs::write(&path, [0; 8]).unwrap();
    assert_eq!(read_all(&path).unwrap().1, Extent { end: 0, torn: 8 });
}

#[test]
fn a_record_is_read_again_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut file = Appender::create(&path).unwrap();
    file.append(1, b"one").unwrap();
    let at = file.append(2, b"two").unwrap();
    assert_eq!(read_at(&path, at).unwrap().payload, b"two");
    assert!(read_at(&path, at + 1).is_err());
    assert!(read_at(&path, file.end()).is_err());
}
