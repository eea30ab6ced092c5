//! Columns of a row group that are written here and not by the `parquet` crate's encoders: those
//! whose rows share few values, and those without any value.
//!
//! The crate looks every row's value up in a dictionary of its own; here the dictionary is there
//! already, and what is left is how many rows have which place in it. A chunk is one dictionary
//! page and one data page, not compressed: it is small. Used by `parquet_file`. Pure.

use crate::hybrid;
use crate::shared::{Runs, Sharing};
use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::page_index::offset_index::{OffsetIndexMetaData, PageLocation};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use std::collections::HashMap;

/// Dictionaries larger than this, in bytes, are worth compressing: the crate takes the column.
const DICTIONARY_BYTES_MAX: usize = 16 << 10;

/// The values of one leaf of a column: levels as in Dremel, and places in the dictionary.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    repetitions: Runs<u32>,
    definitions: Runs<u32>,
    places: Runs<u32>,
    dictionary: Dictionary,
}

#[derive(Debug, Default)]
struct Dictionary {
    /// The values as they stand in the page.
    page: Vec<u8>,
    count: u32,
}

/// A value as it stands in the page of a dictionary.
trait Plain: Copy {
    fn append(self, page: &mut Vec<u8>);
}

impl Plain for &str {
    fn append(self, page: &mut Vec<u8>) {
        let bytes = u32::try_from(self.len()).unwrap_or(u32::MAX);
        page.extend_from_slice(&bytes.to_le_bytes());
        page.extend_from_slice(self.as_bytes());
    }
}

impl Plain for i64 {
    fn append(self, page: &mut Vec<u8>) {
        page.extend_from_slice(&self.to_le_bytes());
    }
}

impl Dictionary {
    fn push(&mut self, value: impl Plain) -> u32 {
        value.append(&mut self.page);
        self.count += 1;
        self.count - 1
    }
}

/// The leaves of a column; `None` when their dictionaries are too large.
pub(crate) fn leaves(column: &Sharing) -> Option<Vec<Leaf>> {
    let values = &column.values;
    let leaves = match values.data_type() {
        DataType::Utf8 => {
            let texts = values.as_string::<i32>().iter();
            vec![flat(texts.map(Option::unwrap_or_default), values.as_ref(), &column.rows)]
        }
        DataType::Int64 => {
            let numbers = values.as_primitive::<Int64Type>().values().iter();
            vec![flat(numbers.copied(), values.as_ref(), &column.rows)]
        }
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let ends = Nested { nulls: values.as_ref(), offsets: lists.value_offsets() };
            vec![nested(&ends, lists.values().as_string(), &column.rows, LIST_LEVEL)]
        }
        DataType::Map(..) => {
            let maps = values.as_map();
            let ends = Nested { nulls: values.as_ref(), offsets: maps.value_offsets() };
            vec![
                nested(&ends, maps.keys().as_string(), &column.rows, KEY_LEVEL),
                nested(&ends, maps.values().as_string(), &column.rows, VALUE_LEVEL),
            ]
        }
        _ => return None,
    };
    let small = |leaf: &Leaf| leaf.dictionary.page.len() <= DICTIONARY_BYTES_MAX;
    leaves.iter().all(small).then_some(leaves)
}

/// Definition levels of a value that is there: one for each of the column, the list, the element
/// that may be absent. A map's key has to be there.
const FLAT_LEVEL: u32 = 1;
const KEY_LEVEL: u32 = 2;
const LIST_LEVEL: u32 = 3;
const VALUE_LEVEL: u32 = 3;
/// Of a list or map without elements.
const EMPTY_LEVEL: u32 = 1;

/// The leaf of a column without lists. A value that is null has a place, which no row has.
fn flat(
    values: impl Iterator<Item = impl Plain>,
    nulls: &dyn Array,
    rows: &Runs<Option<u32>>,
) -> Leaf {
    let mut leaf = Leaf::default();
    for value in values {
        leaf.dictionary.push(value);
    }
    for (place, count) in rows.iter() {
        match place.filter(|place| nulls.is_valid(*place as usize)) {
            Some(place) => {
                leaf.definitions.push(FLAT_LEVEL, count);
                leaf.places.push(place, count);
            }
            None => leaf.definitions.push(0, count),
        }
    }
    leaf
}

/// Lists or maps, without their texts.
struct Nested<'a> {
    nulls: &'a dyn Array,
    offsets: &'a [i32],
}

impl Nested<'_> {
    /// Places of the texts of one of them; `None` when it is null.
    fn range(&self, place: u32) -> Option<std::ops::Range<usize>> {
        let at = place as usize;
        let bound = |at: usize| usize::try_from(*self.offsets.get(at)?).ok();
        (at < self.nulls.len() && self.nulls.is_valid(at)).then_some(bound(at)?..bound(at + 1)?)
    }
}

fn nested(lists: &Nested<'_>, texts: &StringArray, rows: &Runs<Option<u32>>, level: u32) -> Leaf {
    let mut leaf = Leaf::default();
    let mut known = HashMap::<&str, u32>::new();
    let dictionary = &mut leaf.dictionary;
    let mut place = |text| *known.entry(text).or_insert_with(|| dictionary.push(text));
    let places: Vec<u32> = texts.iter().map(|text| place(text.unwrap_or_default())).collect();
    for (list, count) in rows.iter() {
        let texts = list.and_then(|list| lists.range(list));
        let absent = if texts.is_some() { EMPTY_LEVEL } else { 0 };
        match texts.and_then(|range| places.get(range)).unwrap_or_default() {
            [] => {
                leaf.repetitions.push(0, count);
                leaf.definitions.push(absent, count);
            }
            [one] => {
                leaf.repetitions.push(0, count);
                leaf.definitions.push(level, count);
                leaf.places.push(*one, count);
            }
            several => {
                leaf.definitions.push(level, count * several.len());
                for _ in 0..count {
                    leaf.repetitions.push(0, 1);
                    leaf.repetitions.push(1, several.len() - 1);
                    several.iter().for_each(|place| leaf.places.push(*place, 1));
                }
            }
        }
    }
    leaf
}

/// Leaves of a column of which no row has a value.
pub(crate) fn nothing(rows: usize) -> Leaf {
    let mut leaf = Leaf::default();
    leaf.repetitions.push(0, rows);
    leaf.definitions.push(0, rows);
    leaf
}

/// Writes the leaf as the next column of the row group.
pub(crate) fn write(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    descriptor: &ColumnDescPtr,
    leaf: Leaf,
    rows: usize,
) -> Result<()> {
    let values = u32::try_from(leaf.definitions.len()).map_err(too_large)?;
    let data = data_page(descriptor, &leaf);
    let mut sink = TrackedWrite::new(Vec::new());
    let mut writer = SerializedPageWriter::new(&mut sink);
    let (mut encodings, mut stats) = (vec![Encoding::RLE], Vec::new());
    let mut value_encoding = Encoding::PLAIN;
    let mut dictionary_bytes = None;
    if leaf.dictionary.count > 0 {
        value_encoding = Encoding::RLE_DICTIONARY;
        let (num_values, encoding) = (leaf.dictionary.count, Encoding::PLAIN);
        let (bytes, buf) = (leaf.dictionary.page.len(), leaf.dictionary.page.into());
        let page = Page::DictionaryPage { buf, num_values, encoding, is_sorted: false };
        let written = writer.write_page(CompressedPage::new(page, bytes))?;
        dictionary_bytes = Some(i64::try_from(written.bytes_written).map_err(too_large)?);
        encodings.push(encoding);
        stats.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding, count: 1 });
    }
    let (bytes, encoding) = (data.len(), value_encoding);
    let page = Page::DataPage {
        buf: data.into(),
        num_values: values,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    let written = writer.write_page(CompressedPage::new(page, bytes))?;
    encodings.push(encoding);
    stats.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: 1 });
    let chunk = Bytes::from(sink.into_inner()?);
    let total = i64::try_from(chunk.len()).map_err(too_large)?;
    let offset = dictionary_bytes.unwrap_or(0);
    let metadata = ColumnChunkMetaData::builder(descriptor.clone())
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
        .set_page_encoding_stats(stats)
        .set_total_compressed_size(total)
        .set_total_uncompressed_size(total)
        .set_num_values(values.into())
        .set_data_page_offset(offset)
        .set_dictionary_page_offset(dictionary_bytes.map(|_| 0))
        .build()?;
    let location = PageLocation {
        offset,
        compressed_page_size: i32::try_from(written.bytes_written).map_err(too_large)?,
        first_row_index: 0,
    };
    let close = ColumnCloseResult {
        bytes_written: chunk.len() as u64,
        rows_written: rows as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(OffsetIndexMetaData {
            page_locations: vec![location],
            unencoded_byte_array_data_bytes: None,
        }),
    };
    group.append_column(&chunk, close)
}

/// Levels and places, as a data page of the first version has them.
fn data_page(descriptor: &ColumnDescPtr, leaf: &Leaf) -> Vec<u8> {
    let mut page = Vec::new();
    let levels = [
        (&leaf.repetitions, descriptor.max_rep_level()),
        (&leaf.definitions, descriptor.max_def_level()),
    ];
    for (levels, most) in levels.into_iter().filter(|(_, most)| *most > 0) {
        let start = page.len();
        page.extend_from_slice(&[0; 4]);
        let width = hybrid::width(u32::try_from(most).unwrap_or_default());
        hybrid::append(&mut page, levels, width);
        let bytes = u32::try_from(page.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(slot) = page.get_mut(start..start + 4) {
            slot.copy_from_slice(&bytes.to_le_bytes());
        }
    }
    if leaf.dictionary.count > 0 {
        let width = hybrid::width(leaf.dictionary.count - 1);
        page.push(width.to_le_bytes()[0]);
        hybrid::append(&mut page, &leaf.places, width);
    }
    page
}

fn too_large(_: std::num::TryFromIntError) -> ParquetError {
    ParquetError::General("a column chunk is too large".to_owned())
}
