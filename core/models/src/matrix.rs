//! Quantised weight matrices and their product with activations.
//!
//! Written here rather than taken from candle for three reasons: candle multiplies Q4_1 by scalar code on
//! x86 (a third of the speed), it spreads every product over a process-wide pool of spinning threads,
//! and it promises no order of additions. Here, each output is computed by one fixed sequence of
//! operations, whether its row comes alone or in a batch; [`crate::Generation`] builds on that.

use crate::error::{ModelError, Result};
use crate::gguf::Gguf;
use crate::region::Region;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor};
use kernel::half;
use std::ops::Range;
use std::sync::Arc;

mod kernel;

/// Weights in a block, in both formats.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a Q4_1 block: scale and minimum (half precision), 32 times 4 bits.
const Q4_1_BYTES: usize = 20;
/// Bytes of a Q8_0 block: scale (half precision), 32 signed bytes.
const Q8_0_BYTES: usize = 34;
/// Rows multiplied while a row of weights is unpacked.
const ROW_TILE: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Q4_1,
    Q8_0,
}

#[derive(Debug)]
enum Storage {
    /// As it lies in the file.
    File(Arc<Region>, Range<usize>),
    /// Converted on loading, from a format that has no product here.
    Own(Box<[u8]>),
}

/// `rows` output values from `columns` input values.
#[derive(Debug)]
pub(crate) struct Matrix {
    format: Format,
    storage: Storage,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Matrix {
    /// Takes Q4_1 and Q8_0 as they are; any other format is converted to Q8_0 (candle's quantiser).
    pub(crate) fn load(
        gguf: &Gguf<'_>,
        region: &Arc<Region>,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Self> {
        if !columns.is_multiple_of(BLOCK) {
            return Err(ModelError::Unsupported {
                reason: format!("`{name}` has rows of {columns} weights"),
            });
        }
        let (dtype, range) = gguf.tensor(name, &[rows, columns])?;
        let in_file = |range| Storage::File(region.clone(), range);
        let (format, storage) = match dtype {
            GgmlDType::Q4_1 => (Format::Q4_1, in_file(range)),
            GgmlDType::Q8_0 => (Format::Q8_0, in_file(range)),
            _ => (Format::Q8_0, Storage::Own(converted(gguf, name, rows, columns)?)),
        };
        Ok(Self { format, storage, rows, columns })
    }

    fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::File(region, range) => &region.bytes()[range.clone()],
            Storage::Own(bytes) => bytes,
        }
    }

    fn row(&self, index: usize) -> &[u8] {
        let size = self.columns / BLOCK
            * match self.format {
                Format::Q4_1 => Q4_1_BYTES,
                Format::Q8_0 => Q8_0_BYTES,
            };
        &self.bytes()[index * size..(index + 1) * size]
    }

    /// One row of weights as numbers (a token's embedding).
    pub(crate) fn decode_row(&self, index: usize, out: &mut [f32]) {
        let row = self.row(index);
        match self.format {
            Format::Q8_0 => {
                for (block, out) in row.chunks_exact(Q8_0_BYTES).zip(out.chunks_exact_mut(BLOCK)) {
                    let scale = half(&block[..2]);
                    for (value, out) in block[2..].iter().zip(out) {
                        *out = f32::from(value.cast_signed()) * scale;
                    }
                }
            }
            Format::Q4_1 => {
                for (block, out) in row.chunks_exact(Q4_1_BYTES).zip(out.chunks_exact_mut(BLOCK)) {
                    let (scale, minimum) = (half(&block[..2]), half(&block[2..4]));
                    let (low, high) = out.split_at_mut(BLOCK / 2);
                    for ((nibbles, low), high) in block[4..].iter().zip(low).zip(high) {
                        *low = f32::from(nibbles & 15).mul_add(scale, minimum);
                        *high = f32::from(nibbles >> 4).mul_add(scale, minimum);
                    }
                }
            }
        }
    }

    /// `out[r][n] = weights[n] . inputs[r]` for every input row `r`.
    pub(crate) fn multiply(&self, inputs: &Activations, out: &mut [f32]) {
        assert_eq!(inputs.columns, self.columns, "input width");
        assert_eq!(out.len(), inputs.rows * self.rows, "output size");
        match self.format {
            Format::Q4_1 => self.multiply_tiles::<kernel::Q4_1>(inputs, out),
            Format::Q8_0 => self.multiply_tiles::<kernel::Q8_0>(inputs, out),
        }
    }

    fn multiply_tiles<K: kernel::Dot>(&self, inputs: &Activations, out: &mut [f32]) {
        let mut first = 0;
        while first < inputs.rows {
            let tile = if inputs.rows - first >= ROW_TILE { ROW_TILE } else { 1 };
            for column in 0..self.rows {
                let weights = self.row(column);
                if tile == ROW_TILE {
                    let sums =
                        K::dot(weights, std::array::from_fn::<_, ROW_TILE, _>(|i| inputs.row(first + i)));
                    for (i, sum) in sums.into_iter().enumerate() {
                        out[(first + i) * self.rows + column] = sum;
                    }
                } else {
                    let [sum] = K::dot(weights, [inputs.row(first)]);
                    out[first * self.rows + column] = sum;
                }
            }
            first += tile;
        }
    }
}

fn converted(gguf: &Gguf<'_>, name: &str, rows: usize, columns: usize) -> Result<Box<[u8]>> {
    let convert = || {
        let tensor = gguf.read_tensor(name, &[rows, columns]).map_err(candle_core::Error::wrap)?;
        let tensor = QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?;
        Ok(tensor.data()?.into_owned().into_boxed_slice())
    };
    convert().map_err(crate::gguf::candle)
}

/// Activations quantised to 8 bits per block of 32, with each block's scale and scaled sum.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    values: Vec<i8>,
    scales: Vec<f32>,
    /// scale * sum of the block's values: what the minimum of a Q4_1 block is multiplied by.
    sums: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// One row of [`Activations`].
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    values: &'a [i8],
    scales: &'a [f32],
    sums: &'a [f32],
}

impl Activations {
    /// Replaces the content by these rows of `columns` numbers.
    pub(crate) fn quantise(&mut self, input: &[f32], columns: usize) {
        self.columns = columns;
        self.rows = input.len() / columns;
        self.values.resize(input.len(), 0);
        self.scales.resize(input.len() / BLOCK, 0.0);
        self.sums.resize(input.len() / BLOCK, 0.0);
        let blocks = input.chunks_exact(BLOCK).zip(self.values.chunks_exact_mut(BLOCK));
        for ((input, values), (scale, sum)) in blocks.zip(self.scales.iter_mut().zip(&mut self.sums)) {
            let largest = input.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
            *scale = largest / 127.0;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let mut total = 0_i32;
            for (value, quantised) in input.iter().zip(values) {
                *quantised = (value * inverse).round_ties_even() as i8;
                total += i32::from(*quantised);
            }
            *sum = *scale * total as f32;
        }
    }

    fn row(&self, index: usize) -> Row<'_> {
        let blocks = self.columns / BLOCK;
        Row {
            values: &self.values[index * self.columns..(index + 1) * self.columns],
            scales: &self.scales[index * blocks..(index + 1) * blocks],
            sums: &self.sums[index * blocks..(index + 1) * blocks],
        }
    }
}
