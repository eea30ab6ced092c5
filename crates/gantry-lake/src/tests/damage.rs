//! A damaged segment: what can be read goes into the lake, and the file is kept.

use super::*;

/// Damages the only segment of the journal with `change`; returns its name.
fn damaged(fixture: &Fixture, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let [name] = fixture.segments().try_into().unwrap();
    let path = fixture.dir.path().join("journal").join(format!("{name}.seg"));
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    name
}

#[tokio::test]
async fn records_around_the_damage_are_kept_and_the_file_is_set_aside() {
    // Magic, mark and length of the first frame, and a byte of the last one.
    for (at, left) in
        [(0, vec![1, 2, 3]), (16, vec![2, 3]), (25, vec![2, 3]), (usize::MAX, vec![1, 2])]
    {
        let mut fixture = Fixture::new();
        fixture.seal(&[record(1, 3), record(2, 2), record(3, 1)]);
        let name = damaged(&fixture, |bytes| {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 0x40;
        });
        assert_eq!(fixture.all().await, left, "byte {at}, from the journal");
        assert_eq!(fixture.lake.ingest().await.unwrap(), left.len() as u64);
        assert_eq!(fixture.all().await, left, "byte {at}, from the lake");
        let aside = fixture.dir.path().join("journal").join(journal::DAMAGED);
        assert!(aside.join(format!("{name}.seg")).exists(), "byte {at}");
        assert_eq!(fixture.segments(), Vec::<String>::new());
        let page = fixture.lake.0.metrics.render();
        assert!(page.contains("gantry_journal_damaged_segments_total 1\n"), "{page}");
        let lost = page.lines().find_map(|l| l.strip_prefix("gantry_journal_lost_bytes_total "));
        assert_eq!(lost.unwrap() != "0", at != 0, "byte {at}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_segment_is_set_aside_and_not_deleted() {
    let mut fixture = Fixture::new();
    fixture.seal(&[record(1, 0)]);
    let name = damaged(&fixture, |bytes| *bytes = b"something else of many bytes".to_vec());
    assert_eq!(fixture.lake.ingest().await.unwrap(), 0);
    let aside = fixture.dir.path().join("journal").join(journal::DAMAGED);
    assert!(aside.join(format!("{name}.seg")).exists());
}
