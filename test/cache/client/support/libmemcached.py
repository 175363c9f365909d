# Asks libmemcached itself which server holds each key. Standard input: JSON {"rule", "servers": [[host, port, weight]], "keys"}.
# Standard output: JSON list of server indices.
import ctypes, json, sys

lib = ctypes.CDLL("libmemcached.so.11")
lib.memcached_create.restype = ctypes.c_void_p
lib.memcached_create.argtypes = [ctypes.c_void_p]
lib.memcached_behavior_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64]
lib.memcached_server_add_with_weight.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint16, ctypes.c_uint32]
lib.memcached_generate_hash.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
lib.memcached_generate_hash.restype = ctypes.c_uint32

KETAMA = 3  # MEMCACHED_BEHAVIOR_KETAMA
KETAMA_WEIGHTED = 16  # MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED

asked = json.load(sys.stdin)
handle = lib.memcached_create(None)
if asked["rule"] == "plain-ketama":
    assert lib.memcached_behavior_set(handle, KETAMA, 1) == 0
if asked["rule"] == "ketama":
    assert lib.memcached_behavior_set(handle, KETAMA_WEIGHTED, 1) == 0
for host, port, weight in asked["servers"]:
    assert lib.memcached_server_add_with_weight(handle, host.encode(), port, weight) == 0
json.dump([lib.memcached_generate_hash(handle, key.encode("latin-1"), len(key)) for key in asked["keys"]], sys.stdout)
