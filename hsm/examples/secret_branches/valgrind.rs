//! Requests of a program to the valgrind that it runs under (valgrind.h, memcheck.h of valgrind 3.19): which bytes are to be taken for
//! undefined, and how many uses of such bytes it has complained about. Without valgrind they do nothing.

/// `VG_USERREQ__RUNNING_ON_VALGRIND`.
const RUNNING_ON_VALGRIND: usize = 0x1001;
/// `VG_USERREQ__COUNT_ERRORS`.
const COUNT_ERRORS: usize = 0x1201;
/// `VG_USERREQ_TOOL_BASE('M','C')`, of memcheck.
const MEMCHECK: usize = 0x4d43_0000;
/// `VG_USERREQ__MAKE_MEM_UNDEFINED`.
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
/// `VG_USERREQ__MAKE_MEM_DEFINED`.
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;

/// `VALGRIND_DO_CLIENT_REQUEST_EXPR`: `default` where there is no valgrind.
fn request(default: usize, code: usize, first: usize, second: usize) -> usize {
    let arguments = [code, first, second, 0, 0, 0];
    let mut answer = default;
    // SAFETY: valgrind.h, __SPECIAL_INSTRUCTION_PREAMBLE for amd64: rdi is turned by 3 + 13 + 61 + 51 = 128 bits, which leaves it as it
    // was, and rbx is exchanged with itself. On a processor nothing else happens; valgrind reads the six numbers that rax leads to,
    // which live until the answer is in rdx. The flags are told to be changed by default.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
            inout("rdi") 0_usize => _,
        );
    }
    answer
}

/// Whether this program runs under valgrind.
pub(crate) fn is_running() -> bool {
    request(0, RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// Has a branch or an address that depends on these bytes be an error. What they hold stays as it is.
pub(crate) fn make_secret(bytes: &[u8]) {
    request(0, MAKE_MEM_UNDEFINED, bytes.as_ptr().addr(), bytes.len());
}

/// The opposite.
pub(crate) fn make_public<T: ?Sized>(value: &T) {
    let at = std::ptr::from_ref(value).cast::<u8>().addr();
    request(0, MAKE_MEM_DEFINED, at, size_of_val(value));
}

/// Errors so far.
pub(crate) fn errors() -> usize {
    request(0, COUNT_ERRORS, 0, 0)
}
