# SPDX-License-Identifier: Apache-2.0
"""libyoke for Python, by ctypes: sessions, arena memory, keys, synchronous and submitted calls.

    with yoke.Session() as session:
        print(session.sha256(b"hello").hex())

The functions of yoke.h are declared as they are there; what a function returns is turned into an exception (yoke.Error, an
OSError with the errno value and the sentence). A Session is used by one thread at a time. The library is found as
$YOKE_LIBRARY, else libyoke.so.0 where the system looks for libraries.
"""
import ctypes
import errno
import os

SERVICE_ECHO, SERVICE_AES_ECB, SERVICE_AES_CBC, SERVICE_AES_CTR, SERVICE_AES_XTS, SERVICE_AES_GCM, SERVICE_SHA256 = range(1, 8)
FLAG_DECRYPT = 2
OPEN_LOCAL = 1
PLACE_AUTO, PLACE_CALLER, PLACE_WORKER = range(3)
WHERE = ("nowhere", "caller", "cpu", "cuda", "nsk")
FOREVER = 2**64 - 1


class Options(ctypes.Structure):
    _fields_ = [("socket", ctypes.c_char_p), ("arena_bytes", ctypes.c_uint64), ("express_slots", ctypes.c_uint32),
                ("bulk_slots", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class Call(ctypes.Structure):
    _fields_ = [("service", ctypes.c_uint16), ("flags", ctypes.c_uint8), ("place", ctypes.c_uint8),
                ("reserved", ctypes.c_uint32), ("key", ctypes.c_void_p), ("in_", ctypes.c_void_p),
                ("in_length", ctypes.c_size_t), ("out", ctypes.c_void_p), ("out_length", ctypes.c_size_t),
                ("aux", ctypes.c_void_p), ("aux_length", ctypes.c_size_t), ("params", ctypes.c_void_p),
                ("timeout_ns", ctypes.c_uint64)]


class Result(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("where", ctypes.c_uint8), ("why", ctypes.c_uint8), ("signal", ctypes.c_uint8),
                ("reserved", ctypes.c_uint8), ("out_length", ctypes.c_uint64), ("queued_ns", ctypes.c_uint64),
                ("run_ns", ctypes.c_uint64), ("detail", ctypes.c_uint64), ("sequence", ctypes.c_uint64),
                ("extent", ctypes.c_uint32 * 2)]


class XtsParams(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint8 * 16), ("unit", ctypes.c_uint32), ("zero", ctypes.c_uint8 * 28)]


Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.POINTER(Result))


def _load():
    library = ctypes.CDLL(os.environ.get("YOKE_LIBRARY", "libyoke.so.0"))
    pointer, handle = ctypes.POINTER, ctypes.c_void_p
    for name, result, arguments in [
            ("yoke_version", ctypes.c_char_p, []),
            ("yoke_open", ctypes.c_int, [pointer(handle), pointer(Options)]),
            ("yoke_close", None, [handle]),
            ("yoke_error", ctypes.c_char_p, [handle]),
            ("yoke_alloc", ctypes.c_int, [handle, ctypes.c_size_t, pointer(handle)]),
            ("yoke_free", ctypes.c_int, [handle, handle]),
            ("yoke_key_create", ctypes.c_int, [handle, ctypes.c_uint16, ctypes.c_char_p, ctypes.c_size_t, pointer(handle)]),
            ("yoke_key_destroy", ctypes.c_int, [handle, handle]),
            ("yoke_call_sync", ctypes.c_int, [handle, pointer(Call), pointer(Result)]),
            ("yoke_submit", ctypes.c_int, [handle, pointer(Call), Callback, handle, pointer(ctypes.c_uint64)]),
            ("yoke_dispatch", ctypes.c_int, [handle, ctypes.c_uint64]),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_library = _load()


class Error(OSError):
    """A failed call: errno is a positive errno value, strerror one sentence that names the object and the remedy."""


class Buffer:
    """Memory of the session's arena, as a memoryview (view) that both sides see."""

    def __init__(self, session, size):
        self._session, self.size = session, size
        self.address = ctypes.c_void_p()
        session._check(_library.yoke_alloc(session._handle, size, ctypes.byref(self.address)))
        self.view = memoryview((ctypes.c_uint8 * size).from_address(self.address.value)).cast("B")

    def free(self):
        if self.address:
            self.view.release()
            self._session._check(_library.yoke_free(self._session._handle, self.address))
            self.address = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()


class Session:
    def __init__(self, socket=None, arena_bytes=0, local=False):
        self._handle = ctypes.c_void_p()
        self._waiting = {}  # callbacks of submitted calls: ctypes must not free them before their end
        options = Options(socket=socket.encode() if socket else None, arena_bytes=arena_bytes, flags=OPEN_LOCAL if local else 0)
        status = _library.yoke_open(ctypes.byref(self._handle), ctypes.byref(options))
        if status < 0:
            raise Error(-status, _library.yoke_error(None).decode())

    def close(self):
        _library.yoke_close(self._handle)
        self._handle = None
        self._waiting.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _check(self, status):
        if status < 0:
            raise Error(-status, _library.yoke_error(self._handle).decode())
        return status

    def alloc(self, size):
        return Buffer(self, size)

    def key(self, service, key_bytes):
        """A key, destroyed with the session or by destroy_key()."""
        key = ctypes.c_void_p()
        self._check(_library.yoke_key_create(self._handle, service, key_bytes, len(key_bytes), ctypes.byref(key)))
        return key

    def destroy_key(self, key):
        self._check(_library.yoke_key_destroy(self._handle, key))

    @staticmethod
    def _make_call(service, source, target, key=None, params=None, decrypt=False, place=PLACE_AUTO, timeout_ns=0):
        return Call(service=service, flags=FLAG_DECRYPT if decrypt else 0, place=place, key=key, in_=source.address,
                    in_length=source.size, out=target.address, out_length=target.size,
                    params=ctypes.addressof(params) if params is not None else None, timeout_ns=timeout_ns)

    def call(self, service, source, target, **options):
        """Runs service(source) into target and waits; both are Buffers. Returns the Result."""
        call, result = self._make_call(service, source, target, **options), Result()
        self._check(_library.yoke_call_sync(self._handle, ctypes.byref(call), ctypes.byref(result)))
        return result

    def submit(self, service, source, target, done, **options):
        """Submits a call; done(result) runs from inside dispatch() or any function that waits."""
        call, ticket = self._make_call(service, source, target, **options), ctypes.c_uint64()

        def ended(_, number, result):
            del self._waiting[number]
            done(result.contents)

        callback = Callback(ended)
        self._check(_library.yoke_submit(self._handle, ctypes.byref(call), callback, None, ctypes.byref(ticket)))
        self._waiting[ticket.value] = callback
        return ticket.value

    def dispatch(self, timeout_ns=FOREVER):
        """Runs callbacks of calls that have ended; waits for the first. Returns their number."""
        return self._check(_library.yoke_dispatch(self._handle, timeout_ns))

    def sha256(self, data, place=PLACE_AUTO):
        with self.alloc(max(len(data), 1)) as source, self.alloc(32) as digest:
            source.view[:len(data)] = data
            source.size = len(data)
            self.call(SERVICE_SHA256, source, digest, place=place)
            return bytes(digest.view)

    def aes_xts(self, key, data, unit=512, start=0, decrypt=False, place=PLACE_AUTO):
        if not data:
            raise Error(errno.EINVAL, "there is no data to encrypt; XTS takes at least 16 bytes")
        params = XtsParams(start=(ctypes.c_uint8 * 16)(*start.to_bytes(16, "little")), unit=unit)
        with self.alloc(len(data)) as source, self.alloc(len(data)) as target:
            source.view[:] = data
            self.call(SERVICE_AES_XTS, source, target, key=key, params=params, decrypt=decrypt, place=place)
            return bytes(target.view)


def version():
    return _library.yoke_version().decode()
