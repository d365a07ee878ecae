//! The inner products. Two builds of the same sums: AVX2 where the target has it, plain Rust elsewhere.
//! They differ in rounding from each other, never from themselves.

#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx2",
    target_feature = "fma",
    target_feature = "f16c"
))]
pub(super) use avx2::{Q4_1, Q8_0};
#[cfg(not(all(
    target_arch = "x86_64",
    target_feature = "avx2",
    target_feature = "fma",
    target_feature = "f16c"
)))]
pub(super) use portable::{Q4_1, Q8_0};

use super::Row;

/// The product of one row of quantised weights with `R` rows of activations. The sum for a row must not
/// depend on `R` or on the other rows.
pub(super) trait Dot {
    fn dot<const R: usize>(weights: &[u8], rows: [Row<'_>; R]) -> [f32; R];
}

/// IEEE half precision (little endian, 2 bytes) to single precision, exactly.
pub(super) fn half(bytes: &[u8]) -> f32 {
    let bits = u32::from(bytes[0]) | u32::from(bytes[1]) << 8;
    let sign = (bits & 0x8000) << 16;
    let exponent = (bits >> 10) & 0x1f;
    let fraction = bits & 0x3ff;
    let magnitude = match (exponent, fraction) {
        (0, fraction) => (fraction as f32 * 2_f32.powi(-24)).to_bits(),
        (0x1f, fraction) => 0x7f80_0000 | fraction << 13,
        (exponent, fraction) => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(any(
    test,
    not(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "f16c"
    ))
))]
mod portable {
    use super::super::{BLOCK, Q4_1_BYTES, Q8_0_BYTES, Row};
    use super::{Dot, half};

    pub(crate) struct Q4_1;
    pub(crate) struct Q8_0;

    impl Dot for Q4_1 {
        fn dot<const R: usize>(weights: &[u8], rows: [Row<'_>; R]) -> [f32; R] {
            rows.map(|row| {
                let blocks = weights.chunks_exact(Q4_1_BYTES).zip(row.values.chunks_exact(BLOCK));
                let scales = row.scales.iter().zip(row.sums);
                let mut sum = 0.0;
                for ((block, values), (scale, block_sum)) in blocks.zip(scales) {
                    let (low, high) = values.split_at(BLOCK / 2);
                    let mut product = 0_i32;
                    for ((nibbles, low), high) in block[4..].iter().zip(low).zip(high) {
                        product += i32::from(nibbles & 15) * i32::from(*low);
                        product += i32::from(nibbles >> 4) * i32::from(*high);
                    }
                    sum += product as f32 * (half(&block[..2]) * scale) + half(&block[2..4]) * block_sum;
                }
                sum
            })
        }
    }

    impl Dot for Q8_0 {
        fn dot<const R: usize>(weights: &[u8], rows: [Row<'_>; R]) -> [f32; R] {
            rows.map(|row| {
                let blocks = weights.chunks_exact(Q8_0_BYTES).zip(row.values.chunks_exact(BLOCK));
                let mut sum = 0.0;
                for ((block, values), scale) in blocks.zip(row.scales) {
                    let pairs = block[2..].iter().zip(values);
                    let product: i32 = pairs
                        .map(|(weight, value)| i32::from(weight.cast_signed()) * i32::from(*value))
                        .sum();
                    sum += product as f32 * (half(&block[..2]) * scale);
                }
                sum
            })
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma", target_feature = "f16c"))]
mod avx2 {
    use super::super::{BLOCK, Q4_1_BYTES, Q8_0_BYTES, Row};
    use super::Dot;
    use std::arch::x86_64::*;

    pub(crate) struct Q4_1;
    pub(crate) struct Q8_0;

    /// How many blocks of a row there are, having checked that every slice is long enough for them:
    /// the loops below read through pointers.
    fn checked_blocks<const R: usize>(weights: &[u8], block_bytes: usize, rows: &[Row<'_>; R]) -> usize {
        let blocks = weights.len() / block_bytes;
        for row in rows {
            assert!(
                row.values.len() >= blocks * BLOCK && row.scales.len() >= blocks && row.sums.len() >= blocks
            );
        }
        blocks
    }

    impl Dot for Q4_1 {
        #[inline]
        fn dot<const R: usize>(weights: &[u8], rows: [Row<'_>; R]) -> [f32; R] {
            let blocks = checked_blocks(weights, Q4_1_BYTES, &rows);
            // SAFETY: `checked_blocks` made sure that block `b` < `blocks` of every slice exists; the
            // instructions used are enabled for the whole compilation (see the cfg of this module).
            unsafe {
                let mut sums = [_mm256_setzero_ps(); R];
                let mut minimums = [0_f32; R];
                for b in 0..blocks {
                    let block = weights.as_ptr().add(b * Q4_1_BYTES);
                    let halves = _mm_cvtph_ps(_mm_cvtsi32_si128(block.cast::<i32>().read_unaligned()));
                    let scale = _mm_cvtss_f32(halves);
                    let minimum = _mm_cvtss_f32(_mm_movehdup_ps(halves));
                    let packed = _mm_loadu_si128(block.add(4).cast());
                    let both = _mm256_set_m128i(_mm_srli_epi16::<4>(packed), packed);
                    let nibbles = _mm256_and_si256(both, _mm256_set1_epi8(15));
                    for (i, row) in rows.iter().enumerate() {
                        let values = _mm256_loadu_si256(row.values.as_ptr().add(b * BLOCK).cast());
                        // 2 * 15 * 127 fits 16 bits
                        let pairs = _mm256_maddubs_epi16(nibbles, values);
                        let quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                        let factor = _mm256_set1_ps(scale * *row.scales.get_unchecked(b));
                        sums[i] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(quads), sums[i]);
                        minimums[i] = minimum.mul_add(*row.sums.get_unchecked(b), minimums[i]);
                    }
                }
                std::array::from_fn(|i| horizontal_sum(sums[i]) + minimums[i])
            }
        }
    }

    impl Dot for Q8_0 {
        #[inline]
        fn dot<const R: usize>(weights: &[u8], rows: [Row<'_>; R]) -> [f32; R] {
            let blocks = checked_blocks(weights, Q8_0_BYTES, &rows);
            // SAFETY: as above.
            unsafe {
                let mut sums = [_mm256_setzero_ps(); R];
                for b in 0..blocks {
                    let block = weights.as_ptr().add(b * Q8_0_BYTES);
                    let bits = i32::from(block.cast::<u16>().read_unaligned());
                    let scale = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
                    let weight = _mm256_loadu_si256(block.add(2).cast());
                    let magnitude = _mm256_sign_epi8(weight, weight);
                    for (i, row) in rows.iter().enumerate() {
                        let values = _mm256_loadu_si256(row.values.as_ptr().add(b * BLOCK).cast());
                        // |weight| <= 128 as unsigned and |value| <= 127: 2 * 128 * 127 fits 16 bits
                        let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(values, weight));
                        let quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                        let factor = _mm256_set1_ps(scale * *row.scales.get_unchecked(b));
                        sums[i] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(quads), sums[i]);
                    }
                }
                sums.map(horizontal_sum)
            }
        }
    }

    #[inline]
    fn horizontal_sum(value: __m256) -> f32 {
        // SAFETY: register arithmetic only; AVX is enabled for the whole compilation.
        unsafe {
            let sum = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps::<1>(value));
            let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
            _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Activations, BLOCK};
    use super::*;
    use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
    use candle_core::{Device, Module, Tensor};

    const COLUMNS: usize = 576;

    fn weights(dtype: GgmlDType) -> QTensor {
        let numbers: Vec<f32> =
            (0..8 * COLUMNS).map(|i| ((i * 7919 % 1009) as f32 / 500.0 - 1.0) * 0.7).collect();
        QTensor::quantize(&Tensor::from_vec(numbers, (8, COLUMNS), &Device::Cpu).unwrap(), dtype).unwrap()
    }

    fn inputs(rows: usize) -> Vec<f32> {
        (0..rows * COLUMNS).map(|i| (i * 31 % 211) as f32 / 40.0 - 2.5).collect()
    }

    fn products<K: Dot>(weights: &[u8], rows: usize) -> Vec<f32> {
        let mut activations = Activations::default();
        activations.quantise(&inputs(rows), COLUMNS);
        weights
            .chunks_exact(weights.len() / 8)
            .flat_map(|row| (0..rows).map(|r| K::dot(row, [activations.row(r)])[0]).collect::<Vec<_>>())
            .collect()
    }

    fn agrees_with_candle<K: Dot, P: Dot>(dtype: GgmlDType) {
        let tensor = weights(dtype);
        let bytes = tensor.data().unwrap().into_owned();
        let ours = products::<K>(&bytes, 3);
        let portable = products::<P>(&bytes, 3);
        let input = Tensor::from_vec(inputs(3), (3, COLUMNS), &Device::Cpu).unwrap();
        let theirs = QMatMul::from_qtensor(tensor).unwrap().forward(&input).unwrap();
        let theirs = theirs.t().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for ((ours, portable), theirs) in ours.iter().zip(&portable).zip(&theirs) {
            assert!((ours - theirs).abs() < 0.05 + theirs.abs() * 0.01, "{ours} {theirs}");
            assert!((ours - portable).abs() < 1e-3 + theirs.abs() * 1e-5, "{ours} {portable}");
        }
    }

    #[test]
    fn products_agree_with_candle() {
        agrees_with_candle::<Q4_1, portable::Q4_1>(GgmlDType::Q4_1);
        agrees_with_candle::<Q8_0, portable::Q8_0>(GgmlDType::Q8_0);
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_in_a_batch() {
        let mut activations = Activations::default();
        activations.quantise(&inputs(4), COLUMNS);
        let rows = || std::array::from_fn::<_, 4, _>(|r| activations.row(r));
        for (dtype, q4) in [(GgmlDType::Q4_1, true), (GgmlDType::Q8_0, false)] {
            let bytes = weights(dtype).data().unwrap().into_owned();
            for weights in bytes.chunks_exact(bytes.len() / 8) {
                let batch = if q4 { Q4_1::dot(weights, rows()) } else { Q8_0::dot(weights, rows()) };
                for (r, row) in rows().into_iter().enumerate() {
                    let [alone] = if q4 { Q4_1::dot(weights, [row]) } else { Q8_0::dot(weights, [row]) };
                    assert_eq!(alone.to_bits(), batch[r].to_bits());
                }
            }
        }
    }

    #[test]
    fn half_precision_converts_exactly() {
        let cases =
            [(0x0000_u16, 0.0), (0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8)];
        for (bits, expected) in cases {
            assert_eq!(half(&bits.to_le_bytes()), expected);
        }
        assert!(half(&0x7c00_u16.to_le_bytes()).is_infinite());
    }

    #[test]
    fn quantised_activations_stay_within_half_a_step() {
        let mut activations = Activations::default();
        activations.quantise(&inputs(1), COLUMNS);
        let row = activations.row(0);
        for (i, input) in inputs(1).iter().enumerate() {
            let scale = row.scales[i / BLOCK];
            assert!((f32::from(row.values[i]) * scale - input).abs() <= scale * 0.501);
        }
    }
}
