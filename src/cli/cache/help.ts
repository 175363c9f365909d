/** ● The text of `holdfast cache --help`. */

export const CACHE_HELP = `memcached 1.6.45
holdfast cache: a cache server for memcached's protocols, with memcached's flags.

-p, --port=<num>          TCP port to listen on (default: 11211; -1: any free port; 0: off)
-U, --udp-port=<num>      UDP port to listen on (default: 0, off)
-s, --unix-socket=<file>  UNIX socket to listen on (disables network support)
-a, --unix-mask=<mask>    access mask for the UNIX socket, in octal (default: 700)
-A, --enable-shutdown     enable the ascii "shutdown" command
-l, --listen=<addr>       interfaces to listen on, comma-separated, each with an optional :port
                          (default: 127.0.0.1; 0.0.0.0 for all)
-d, --daemon              run in the background
-u, --user=<user>         assume the identity of <user> (only when run as root)
-m, --memory-limit=<num>  item memory in megabytes (default: 64)
-M, --disable-evictions   return an error on memory exhausted instead of evicting
-c, --conn-limit=<num>    max simultaneous connections (default: 1024)
-v, --verbose             verbose; -vv: more, -vvv: most
-h, --help                print this help and exit
-i, --license             print the licence and exit
-V, --version             print the version and exit
-P, --pidfile=<file>      save the process id in <file>, only used with -d
-f, --slab-growth-factor=<num> chunk size growth factor (default: 1.25)
-n, --slab-min-size=<bytes> min space used for key+value+flags (default: 48)
-L, --enable-largepages   preallocate one page for each slab class
-D, --delimiter=<char>    delimiter between key prefixes and IDs, for stats detail (default: ":")
-t, --threads=<num>       number of threads (default: 1)
-R, --max-reqs-per-event  maximum requests of one client per event (default: 20)
-C, --disable-cas         disable use of CAS
-b, --listen-backlog=<num> set the backlog queue limit (default: 1024)
-B, --protocol=<name>     protocol - one of ascii, binary, or auto (default: auto)
-I, --max-item-size=<num> largest item, in bytes or with k or m (default: 1m, min: 1k, max: 1024m)
-S, --enable-sasl         turn on SASL authentication (binary protocol)
-F, --disable-flush-all   disable flush_all command
-X, --disable-dumping     disable stats cachedump and lru_crawler metadump
-W, --disable-watch       disable watch commands (live logging)
-Y, --auth-file=<file>    (EXPERIMENTAL in memcached) users and passwords of the text protocol
-e, --memory-file=<file>  keep items across a restart in this file
-Z, --enable-ssl          enable TLS
    --cluster=<nodes>     nodes that "config get cluster" returns, as host|ip|port,host|ip|port
    --log=<format>        how events are written on stderr: text or json (default: text)
    --log-level=<level>   which events: error, warning, info or debug, and what is worse (default: warning)
    --dashboard=<addr>    where the page, metrics and health are (default: nowhere)
    --dashboard-token=<token>, --dashboard-token-file=<file>
                          access token of the page; required on a non-loopback address
    --api-tokens-file=<file>
                          tokens of the HTTP API with names and scopes, as JSON
    --access=<file>       who may read and write which keys (default: everybody)
    --peers=<addr>        dashboards of other processes, comma-separated, shown on the same page
-o, --extended            comma-separated list of extended options:
   - maxconns_fast, no_maxconns_fast: over the connection limit, answer with an error, or let clients wait
   - hashpower, no_hashexpand, hash_algorithm
   - tail_repair_time, lru_crawler, no_lru_crawler, lru_crawler_sleep, lru_crawler_tocrawl
   - lru_maintainer, no_lru_maintainer, hot_lru_pct, warm_lru_pct, hot_max_factor, warm_max_factor, temporary_ttl
   - eviction: what goes when there is no room: lru, as memcached, or s3fifo
   - slab_reassign, no_slab_reassign, slab_automove, slab_automove_ratio, slab_automove_window, slab_automove_freeratio
   - slab_chunk_max, slab_sizes, no_chunked_items, track_sizes, idle_timeout, read_buf_mem_limit
   - watcher_logbuf_size, worker_logbuf_size, modern, no_modern
   - ssl_chain_cert, ssl_key, ssl_ca_cert, ssl_ciphers, ssl_verify_mode, ssl_min_version, ssl_session_cache
`;

export const CACHE_LICENCE =
  "Holdfast is free software under the MIT licence; its text is in the file LICENSE of the package.\n";
