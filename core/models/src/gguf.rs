//! Reading GGUF files that may have been written by anybody.
//!
//! The parsing proper is candle's. Before it sees a byte, [`check`] walks the header with every count and
//! length held against what the file can contain, so that a hostile header can neither panic the parser
//! nor make it allocate more than a small multiple of the file.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use crate::error::{ModelError, Result};
use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use std::collections::HashSet;
use std::io::Cursor;
use std::ops::Range;

const MAX_TENSORS: u64 = 10_000;
const MAX_METADATA: u64 = 10_000;
const MAX_NAME: u64 = 1 << 10;
/// Vocabularies have up to a few hundred thousand entries; a parsed entry takes some 50 bytes.
const MAX_ARRAY_ELEMENTS: u64 = 4 << 20;
const MAX_DIMENSIONS: u32 = 4;

/// A checked and parsed header, and the bytes it describes.
pub(crate) struct Gguf<'a> {
    content: Content,
    bytes: &'a [u8],
}

impl<'a> Gguf<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        check(bytes)?;
        let content = Content::read(&mut Cursor::new(bytes)).map_err(candle)?;
        Ok(Self { content, bytes })
    }

    fn value(&self, key: &str) -> Result<&Value> {
        self.content.metadata.get(key).ok_or_else(|| ModelError::gguf(format!("the metadata has no `{key}`")))
    }

    pub(crate) fn string(&self, key: &str) -> Result<&str> {
        match self.value(key)? {
            Value::String(text) => Ok(text),
            _ => Err(ModelError::gguf(format!("`{key}` is not a string"))),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn count(&self, key: &str, range: Range<usize>) -> Result<usize> {
        let number = match *self.value(key)? {
            Value::U8(number) => u64::from(number),
            Value::U16(number) => u64::from(number),
            Value::U32(number) => u64::from(number),
            Value::U64(number) => number,
            Value::I32(number) => {
                u64::try_from(number).map_err(|_| ModelError::gguf(format!("`{key}` is negative")))?
            }
            _ => return Err(ModelError::gguf(format!("`{key}` is not a whole number"))),
        };
        usize::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| ModelError::gguf(format!("`{key}` is {number}, expected {range:?}")))
    }

    pub(crate) fn float(&self, key: &str) -> Result<f32> {
        match *self.value(key)? {
            Value::F32(number) if number.is_finite() && number > 0.0 => Ok(number),
            _ => Err(ModelError::gguf(format!("`{key}` is not a positive number"))),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.content.metadata.contains_key(key)
    }

    pub(crate) fn array(&self, key: &str) -> Result<&[Value]> {
        match self.value(key)? {
            Value::Array(values) => Ok(values),
            _ => Err(ModelError::gguf(format!("`{key}` is not an array"))),
        }
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Vec<&str>> {
        let mut strings = Vec::new();
        for value in self.array(key)? {
            let Value::String(text) = value else {
                return Err(ModelError::gguf(format!("`{key}` holds something that is not a string")));
            };
            strings.push(text.as_str());
        }
        Ok(strings)
    }

    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Where a tensor of exactly these dimensions (rows first) lies in the file, and its type.
    pub(crate) fn tensor(&self, name: &str, dims: &[usize]) -> Result<(GgmlDType, Range<usize>)> {
        let info = self
            .content
            .tensor_infos
            .get(name)
            .ok_or_else(|| ModelError::gguf(format!("there is no tensor `{name}`")))?;
        if info.shape.dims() != dims {
            return Err(ModelError::gguf(format!(
                "`{name}` has shape {:?}, expected {dims:?}",
                info.shape.dims()
            )));
        }
        let row = dims.last().copied().unwrap_or(1);
        if row % info.ggml_dtype.block_size() != 0 {
            return Err(ModelError::gguf(format!("a row of `{name}` is not whole blocks")));
        }
        let elements = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        let range = elements
            .and_then(|count| (count / info.ggml_dtype.block_size()).checked_mul(info.ggml_dtype.type_size()))
            .and_then(|size| {
                let start =
                    usize::try_from(self.content.tensor_data_offset.checked_add(info.offset)?).ok()?;
                Some(start..start.checked_add(size)?)
            })
            .filter(|range| range.end <= self.bytes.len())
            .ok_or_else(|| ModelError::gguf(format!("`{name}` reaches past the end of the file")))?;
        Ok((info.ggml_dtype, range))
    }

    /// A tensor decoded by candle, whatever its type.
    pub(crate) fn read_tensor(&self, name: &str, dims: &[usize]) -> Result<QTensor> {
        self.tensor(name, dims)?;
        self.content.tensor(&mut Cursor::new(self.bytes), name, &Device::Cpu).map_err(candle)
    }

    /// A small tensor (a norm's weights) as numbers.
    pub(crate) fn floats(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let tensor = self.read_tensor(name, &[length])?;
        tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.to_vec1::<f32>()).map_err(candle)
    }
}

pub(crate) fn candle(error: candle_core::Error) -> ModelError {
    ModelError::gguf(error.to_string())
}

/// Walks the header without building anything.
fn check(bytes: &[u8]) -> Result<()> {
    let mut header = Header { bytes, at: 0 };
    if header.take(4)? != b"GGUF" {
        return Err(ModelError::gguf("it does not begin with `GGUF`"));
    }
    let version = header.u32()?;
    if !(2..=3).contains(&version) {
        return Err(ModelError::gguf(format!("version {version}, only 2 and 3 are understood")));
    }
    let tensors = header.u64()?;
    let metadata = header.u64()?;
    if tensors > MAX_TENSORS || metadata > MAX_METADATA {
        return Err(ModelError::gguf(format!(
            "{tensors} tensors and {metadata} metadata entries are too many"
        )));
    }
    let mut elements = 0;
    let mut keys = HashSet::new();
    for _ in 0..metadata {
        let key = header.name()?;
        if !keys.insert(key) {
            return Err(ModelError::gguf("a metadata key occurs twice"));
        }
        let kind = header.u32()?;
        let start = header.at;
        header.value(kind, &mut elements)?;
        if key == b"general.alignment" {
            check_alignment(kind, &bytes[start..header.at])?;
        }
    }
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let name = header.name()?;
        if !names.insert(name) {
            return Err(ModelError::gguf("a tensor name occurs twice"));
        }
        header.tensor_info()?;
    }
    Ok(())
}

fn check_alignment(kind: u32, value: &[u8]) -> Result<()> {
    const U32: u32 = 4;
    let alignment = <[u8; 4]>::try_from(value).map(u32::from_le_bytes).ok().filter(|_| kind == U32);
    match alignment {
        Some(alignment) if alignment.is_power_of_two() && alignment <= 1 << 20 => Ok(()),
        _ => Err(ModelError::gguf("the alignment is not a power of two")),
    }
}

struct Header<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Header<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let taken = end
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| ModelError::gguf("the file ends in the middle of its header"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(word))
    }

    fn u64(&mut self) -> Result<u64> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn name(&mut self) -> Result<&'a [u8]> {
        let length = self.u64()?;
        if length > MAX_NAME {
            return Err(ModelError::gguf(format!("a name of {length} bytes")));
        }
        self.take(length)
    }

    fn value(&mut self, kind: u32, elements: &mut u64) -> Result<()> {
        const STRING: u32 = 8;
        const ARRAY: u32 = 9;
        match kind {
            STRING => {
                let length = self.u64()?;
                self.take(length)?;
            }
            ARRAY => self.array(elements)?,
            scalar => {
                self.take(scalar_size(scalar)?)?;
            }
        }
        Ok(())
    }

    fn array(&mut self, elements: &mut u64) -> Result<()> {
        const ARRAY: u32 = 9;
        let kind = self.u32()?;
        if kind == ARRAY {
            return Err(ModelError::gguf("an array of arrays"));
        }
        let length = self.u64()?;
        *elements = elements.saturating_add(length);
        if *elements > MAX_ARRAY_ELEMENTS {
            return Err(ModelError::gguf("the metadata arrays are too long"));
        }
        for _ in 0..length {
            self.value(kind, elements)?;
        }
        Ok(())
    }

    fn tensor_info(&mut self) -> Result<()> {
        let dimensions = self.u32()?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(ModelError::gguf(format!("a tensor of {dimensions} dimensions")));
        }
        let mut product = 1_u64;
        for _ in 0..dimensions {
            let dimension = self.u64()?;
            product = product
                .checked_mul(dimension)
                .filter(|product| *product > 0 && *product < 1 << 40)
                .ok_or_else(|| ModelError::gguf("a tensor of impossible size"))?;
        }
        self.take(4 + 8)?;
        Ok(())
    }
}

fn scalar_size(kind: u32) -> Result<u64> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        other => Err(ModelError::gguf(format!("unknown value type {other}"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    /// A header with one string, one array and one tensor, as a small file.
    pub(crate) fn small_file() -> Vec<u8> {
        let tensor = candle_core::Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap();
        let text = Value::String("llama".to_owned());
        let array = Value::Array(vec![Value::U32(1), Value::U32(2)]);
        let alignment = Value::U32(32);
        let metadata =
            [("general.architecture", &text), ("numbers", &array), ("general.alignment", &alignment)];
        let mut file = Cursor::new(Vec::new());
        candle_core::quantized::gguf_file::write(&mut file, &metadata, &[("weight", &tensor)]).unwrap();
        file.into_inner()
    }

    fn read_all(bytes: &[u8]) -> Result<()> {
        let gguf = Gguf::parse(bytes)?;
        gguf.string("general.architecture")?;
        gguf.read_tensor("weight", &[2, 32])?;
        Ok(())
    }

    #[test]
    fn a_whole_file_is_read_and_every_truncation_is_refused() {
        let file = small_file();
        read_all(&file).unwrap();
        for length in 0..file.len() - 31 {
            let error = read_all(&file[..length]).expect_err("a truncated file was accepted");
            assert_eq!(error.kind(), ErrorKind::User, "at {length}");
            assert!(!error.hints().is_empty());
        }
    }

    fn with_metadata(value_type: u32, value: &[u8], key: &str) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend((key.len() as u64).to_le_bytes());
        file.extend(key.as_bytes());
        file.extend(value_type.to_le_bytes());
        file.extend(value);
        file
    }

    #[test]
    fn hostile_headers_are_refused() {
        let huge = u64::MAX.to_le_bytes();
        let array = |kind: u32, length: u64| [&kind.to_le_bytes()[..], &length.to_le_bytes()[..]].concat();
        let mut counts = b"GGUF\x03\0\0\0".to_vec();
        counts.extend([huge, huge].concat());
        let mut many_elements = with_metadata(9, &array(0, 5 << 20), "a");
        many_elements.resize(8 << 20, 0);
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("empty", Vec::new()),
            ("other magic", b"GGML\x03\0\0\0".to_vec()),
            ("version 1", b"GGUF\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
            ("huge counts", counts),
            ("string past the end", with_metadata(8, &huge, "a")),
            ("array past the end", with_metadata(9, &array(4, u64::MAX), "a")),
            ("array with more elements than a model has", many_elements),
            ("array of arrays", with_metadata(9, &array(9, 1), "a")),
            ("unknown type", with_metadata(99, &[], "a")),
            ("alignment zero", with_metadata(4, &0_u32.to_le_bytes(), "general.alignment")),
            ("alignment of another type", with_metadata(0, &[0], "general.alignment")),
        ];
        for (name, bytes) in cases {
            assert!(matches!(Gguf::parse(&bytes), Err(ModelError::InvalidGguf { .. })), "{name}");
        }
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0usize..300, byte in any::<u8>(), cut in 0usize..600) {
            let mut file = small_file();
            let at = at % file.len();
            file[at] = byte;
            file.truncate(file.len() - cut.min(file.len()).min(if cut > 300 { 0 } else { cut }));
            let _ = read_all(&file);
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_all(&[b"GGUF\x03\0\0\0".as_slice(), &noise].concat());
        }
    }
}
