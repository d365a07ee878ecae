//! Does this processor have what the binary was compiled for?
//!
//! The standard library's detection macro answers with a constant for features that the compiler was
//! told to assume, so the processor is asked directly.

/// Checks that the processor has the instructions this program was compiled to use. To be called first
/// thing in `main`, before anything could run into an illegal instruction.
///
/// # Errors
/// A message for the user that names the missing instructions and how to build without them.
pub fn supported() -> Result<(), String> {
    let missing = missing_features();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this program was compiled for processors with AVX2 (x86-64-v3), and this one lacks {}. \
         Build it again with CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS=\"\" (or remove \
         `target-cpu` from .cargo/config.toml); local models will be slower.",
        missing.join(", ")
    ))
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
fn missing_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
fn missing_features() -> Vec<&'static str> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    let highest = __cpuid(0).eax;
    let basic = __cpuid(1);
    let structured = if highest >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let extended = if __cpuid(0x8000_0000).eax >= 0x8000_0001 { __cpuid(0x8000_0001).ecx } else { 0 };

    const OSXSAVE: u32 = 1 << 27;
    let os_saves_ymm = basic.ecx & OSXSAVE != 0 && extended_control_register() & 0b110 == 0b110;
    let needed = [
        ("AVX", basic.ecx & (1 << 28) != 0),
        ("AVX2", structured & (1 << 5) != 0),
        ("FMA", basic.ecx & (1 << 12) != 0),
        ("F16C", basic.ecx & (1 << 29) != 0),
        ("MOVBE", basic.ecx & (1 << 22) != 0),
        ("BMI1", structured & (1 << 3) != 0),
        ("BMI2", structured & (1 << 8) != 0),
        ("LZCNT", extended & (1 << 5) != 0),
        ("operating system support for AVX", os_saves_ymm),
    ];
    needed.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
}

/// XCR0, which tells what register state the operating system saves.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
fn extended_control_register() -> u32 {
    let low: u32;
    // SAFETY: called only after CPUID reported OSXSAVE, which is what makes XGETBV available; it reads
    // a register and touches neither memory nor flags.
    unsafe {
        std::arch::asm!(
            "xgetbv",
            in("ecx") 0,
            out("eax") low,
            out("edx") _,
            options(nomem, nostack, preserves_flags)
        );
    }
    low
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_that_runs_the_tests_is_supported() {
        assert_eq!(super::supported(), Ok(()));
    }
}
