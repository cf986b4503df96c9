//! What copying and computing leave behind in the processor.
//!
//! A copy of a secret goes through vector registers, 16 to 64 bytes at a time, and its last piece stays in one of them until something else
//! needs it: in a thread that waits for its next request, for as long as that takes. The system keeps the registers of such a thread, and a core
//! has them.

/// Overwrites the processor's vector registers with zeros (x86-64: all of SSE, AVX and AVX-512; AArch64: all of Advanced SIMD).
///
/// For threads that work with secrets, before they wait for something else to do. Integer registers are not overwritten; 8 bytes at most are in
/// each of those. Elsewhere it does nothing.
#[inline(never)]
pub fn clear_registers() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    x86_64();
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    aarch64();
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn x86_64() {
    use std::arch::{asm, is_x86_feature_detected};
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor knows AVX-512F. Registers 16 to 31 and their lower parts are changed by this alone, and `clobber_abi` says so.
        unsafe {
            asm!(
                "vpxorq zmm16, zmm16, zmm16",
                "vpxorq zmm17, zmm17, zmm17",
                "vpxorq zmm18, zmm18, zmm18",
                "vpxorq zmm19, zmm19, zmm19",
                "vpxorq zmm20, zmm20, zmm20",
                "vpxorq zmm21, zmm21, zmm21",
                "vpxorq zmm22, zmm22, zmm22",
                "vpxorq zmm23, zmm23, zmm23",
                "vpxorq zmm24, zmm24, zmm24",
                "vpxorq zmm25, zmm25, zmm25",
                "vpxorq zmm26, zmm26, zmm26",
                "vpxorq zmm27, zmm27, zmm27",
                "vpxorq zmm28, zmm28, zmm28",
                "vpxorq zmm29, zmm29, zmm29",
                "vpxorq zmm30, zmm30, zmm30",
                "vpxorq zmm31, zmm31, zmm31",
                clobber_abi("sysv64"),
                options(nomem, nostack, preserves_flags),
            );
        }
    }
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor knows AVX. Registers 0 to 15 are changed in their whole width, and `clobber_abi` says so.
        unsafe {
            asm!(
                "vzeroall",
                clobber_abi("sysv64"),
                options(nomem, nostack, preserves_flags),
            );
        }
    } else {
        // SAFETY: every x86-64 processor knows SSE2. Registers 0 to 15 are changed, and `clobber_abi` says so.
        unsafe {
            asm!(
                "pxor xmm0, xmm0",
                "pxor xmm1, xmm1",
                "pxor xmm2, xmm2",
                "pxor xmm3, xmm3",
                "pxor xmm4, xmm4",
                "pxor xmm5, xmm5",
                "pxor xmm6, xmm6",
                "pxor xmm7, xmm7",
                "pxor xmm8, xmm8",
                "pxor xmm9, xmm9",
                "pxor xmm10, xmm10",
                "pxor xmm11, xmm11",
                "pxor xmm12, xmm12",
                "pxor xmm13, xmm13",
                "pxor xmm14, xmm14",
                "pxor xmm15, xmm15",
                clobber_abi("sysv64"),
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn aarch64() {
    macro_rules! clear {
        ($($register:literal)*) => {
            // SAFETY: every AArch64 processor that runs this has Advanced SIMD. Each register that is changed is named.
            unsafe {
                std::arch::asm!(
                    $(concat!("movi ", $register, ".16b, #0"),)*
                    $(out($register) _,)*
                    options(nomem, nostack, preserves_flags),
                );
            }
        };
    }
    clear!(
        "v0" "v1" "v2" "v3" "v4" "v5" "v6" "v7" "v8" "v9" "v10" "v11" "v12" "v13" "v14" "v15"
        "v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23" "v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"
    );
}

#[cfg(all(test, target_arch = "x86_64", not(miri)))]
mod tests {
    use super::clear_registers;
    use std::arch::{asm, is_x86_feature_detected};

    const PIECE: [u8; 64] = *b"a piece of a secret that a copy has left behind in the registers";

    /// Puts the piece into the registers, has `between` done, and counts those that still have its beginning.
    #[inline(never)]
    fn left_after(between: fn()) -> usize {
        let mut registers = [[0_u8; 16]; 16];
        // SAFETY: SSE2 alone; 16 bytes are read from the piece, and 256 written to the array. What `between` is has the C convention's freedom:
        // it is called from outside of the block.
        unsafe {
            fill();
            between();
            asm!(
                "movups [{to}], xmm0",
                "movups [{to} + 16], xmm1",
                "movups [{to} + 32], xmm2",
                "movups [{to} + 48], xmm3",
                "movups [{to} + 64], xmm4",
                "movups [{to} + 80], xmm5",
                "movups [{to} + 96], xmm6",
                "movups [{to} + 112], xmm7",
                "movups [{to} + 128], xmm8",
                "movups [{to} + 144], xmm9",
                "movups [{to} + 160], xmm10",
                "movups [{to} + 176], xmm11",
                "movups [{to} + 192], xmm12",
                "movups [{to} + 208], xmm13",
                "movups [{to} + 224], xmm14",
                "movups [{to} + 240], xmm15",
                to = in(reg) registers.as_mut_ptr(),
                options(nostack, preserves_flags),
            );
        }
        registers
            .iter()
            .filter(|register| register[..] == PIECE[..16])
            .count()
    }

    /// # Safety
    /// None is asked for: it changes registers that every caller expects to be changed.
    #[inline(never)]
    unsafe fn fill() {
        // SAFETY: 16 bytes are read from the piece; registers 0 to 15 are changed, and `clobber_abi` says so.
        unsafe {
            asm!(
                "movups xmm0, [{piece}]",
                "movaps xmm1, xmm0",
                "movaps xmm2, xmm0",
                "movaps xmm3, xmm0",
                "movaps xmm4, xmm0",
                "movaps xmm5, xmm0",
                "movaps xmm6, xmm0",
                "movaps xmm7, xmm0",
                "movaps xmm8, xmm0",
                "movaps xmm9, xmm0",
                "movaps xmm10, xmm0",
                "movaps xmm11, xmm0",
                "movaps xmm12, xmm0",
                "movaps xmm13, xmm0",
                "movaps xmm14, xmm0",
                "movaps xmm15, xmm0",
                piece = in(reg) PIECE.as_ptr(),
                clobber_abi("sysv64"),
                options(nostack, preserves_flags),
            );
        }
    }

    /// Whether the last of the 32 registers of AVX-512 still has the piece.
    #[inline(never)]
    fn is_left_in_the_last_after(between: fn()) -> bool {
        let mut register = [0_u8; 64];
        // SAFETY: called with AVX-512F alone; 64 bytes are read from the piece and 64 written to the array.
        unsafe {
            asm!("vmovdqu64 zmm31, [{piece}]", piece = in(reg) PIECE.as_ptr(), options(nostack, preserves_flags));
            between();
            asm!("vmovdqu64 [{to}], zmm31", to = in(reg) register.as_mut_ptr(), options(nostack, preserves_flags));
        }
        register == PIECE
    }

    #[test]
    fn nothing_of_a_secret_is_left_in_a_vector_register() {
        fn nothing() {}
        assert!(left_after(nothing) > 8, "the test sees what is left");
        assert_eq!(left_after(clear_registers), 0);
        if is_x86_feature_detected!("avx512f") {
            assert!(is_left_in_the_last_after(nothing), "the test sees it");
            assert!(!is_left_in_the_last_after(clear_registers));
        }
    }
}
