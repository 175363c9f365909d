# fish completion for holdfast; copy it to ~/.config/fish/completions
complete -c holdfast -n __fish_use_subcommand -xa "up listen connect cache queue work config access story wire stats health bench"
complete -c holdfast -n "__fish_seen_subcommand_from queue; and not __fish_seen_subcommand_from serve add call ls show events retry cancel promote flow signal update remove drain pause resume set purge cron check move keygen" -xa "serve add call ls show events retry cancel promote flow signal update remove drain pause resume set purge cron check move keygen"
complete -c holdfast -n "__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from show check schema" -xa "show check schema"
complete -c holdfast -n "__fish_seen_subcommand_from access; and not __fish_seen_subcommand_from check schema" -xa "check schema"
complete -c holdfast -n "__fish_seen_subcommand_from up" -l access
complete -c holdfast -n "__fish_seen_subcommand_from up" -l api-tokens
complete -c holdfast -n "__fish_seen_subcommand_from up" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-auth-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-connections
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-eviction
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-idle-timeout
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-item-size
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-memory
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-memory-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-sasl-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-threads
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-tls-ca
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-tls-cert
complete -c holdfast -n "__fish_seen_subcommand_from up" -l cache-tls-key
complete -c holdfast -n "__fish_seen_subcommand_from up" -l config
complete -c holdfast -n "__fish_seen_subcommand_from up" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from up" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from up" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l data
complete -c holdfast -n "__fish_seen_subcommand_from up" -l group
complete -c holdfast -n "__fish_seen_subcommand_from up" -l help
complete -c holdfast -n "__fish_seen_subcommand_from up" -l json
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-allowed-origins
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-ca
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-cert
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-count
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-idle
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-interval
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-key
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-to-cache
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-to-queue
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-token-file
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-trusted-proxies
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-user-timeout
complete -c holdfast -n "__fish_seen_subcommand_from up" -l link-websocket
complete -c holdfast -n "__fish_seen_subcommand_from up" -l log
complete -c holdfast -n "__fish_seen_subcommand_from up" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from up" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-curve-clients
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-curve-keys
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-events-bytes
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-events-keep
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-max-body
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-max-bytes
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-plain-users
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-reserve
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-result-bytes
complete -c holdfast -n "__fish_seen_subcommand_from up" -l queue-sync
complete -c holdfast -n "__fish_seen_subcommand_from up" -l replicas
complete -c holdfast -n "__fish_seen_subcommand_from up" -l store
complete -c holdfast -n "__fish_seen_subcommand_from up" -l websocket
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l allowed-origins
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l api-tokens
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l by
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l ca
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l cert
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l config
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l count
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l data
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l format
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l help
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l idle
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l interval
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l json
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l key
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l log
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l session
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l sessions
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l store
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l token-file
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l trusted-proxies
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l user-timeout
complete -c holdfast -n "__fish_seen_subcommand_from listen" -l websocket
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l ca
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l cert
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l config
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l count
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l help
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l idle
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l interval
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l json
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l key
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l reconnect
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l session
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l spool
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l tls
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l token-file
complete -c holdfast -n "__fish_seen_subcommand_from connect" -l user-timeout
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l access
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l auth-file
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l cluster
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l conn-limit
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l daemon
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l delimiter
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l disable-cas
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l disable-dumping
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l disable-evictions
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l disable-flush-all
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l disable-watch
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l enable-largepages
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l enable-sasl
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l enable-shutdown
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l enable-ssl
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l extended
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l help
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l license
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l listen
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l listen-backlog
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l log
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l max-item-size
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l max-reqs-per-event
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l memory-file
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l memory-limit
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l pidfile
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l port
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l protocol
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l slab-growth-factor
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l slab-min-size
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l threads
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l udp-port
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l unix-mask
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l unix-socket
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l user
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l verbose
complete -c holdfast -n "__fish_seen_subcommand_from cache" -l version
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l access
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l api-tokens
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l curve-clients
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l curve-keys
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l data
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l events-bytes
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l events-keep
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l listen
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l log
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l max-body
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l max-bytes
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l plain-users
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l replicas
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l reserve
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l result-bytes
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l store
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from serve" -l sync
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l after
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l attempt-timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l attempts
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l backoff
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l debounce
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l delay
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l expire
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l keep
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l lines
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l on-parent-dead
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l priority
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l run-at
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l throttle
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l unique-while
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from add" -l wait
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l after
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l attempt-timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l attempts
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l backoff
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l debounce
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l delay
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l expire
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l keep
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l on-parent-dead
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l priority
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l run-at
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l throttle
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l unique-while
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from call" -l wait
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l after
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l error
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l errors
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l limit
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l until
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from ls" -l where
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from show" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l after
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l event
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l limit
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from events" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l error
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l errors
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l until
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from retry" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l error
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l errors
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l until
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cancel" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l error
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l errors
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l until
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from promote" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l cancel
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l retry
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from flow" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from signal" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l body
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l delay
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l priority
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from update" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l error
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l errors
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l until
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from remove" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l delayed
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from drain" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from pause" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from resume" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l aging
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l concurrency
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l group
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l group-concurrency
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l group-rate
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l keep-completed
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l keep-completed-for
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l keep-dead
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l keep-dead-for
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l max-bytes
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l rate
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from set" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l state
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from purge" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l config
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l missed
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l remove
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l time-zone
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l url
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from cron" -l user
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from check" -l data
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from check" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from check" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from check" -l salvage
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from move" -l from
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from move" -l give-up
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from move" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from move" -l json
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from move" -l to
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from keygen" -l help
complete -c holdfast -n "__fish_seen_subcommand_from queue; and __fish_seen_subcommand_from keygen" -l json
complete -c holdfast -n "__fish_seen_subcommand_from work" -l api-tokens
complete -c holdfast -n "__fish_seen_subcommand_from work" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from work" -l concurrency
complete -c holdfast -n "__fish_seen_subcommand_from work" -l config
complete -c holdfast -n "__fish_seen_subcommand_from work" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from work" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from work" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from work" -l drain
complete -c holdfast -n "__fish_seen_subcommand_from work" -l help
complete -c holdfast -n "__fish_seen_subcommand_from work" -l json
complete -c holdfast -n "__fish_seen_subcommand_from work" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from work" -l log
complete -c holdfast -n "__fish_seen_subcommand_from work" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from work" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from work" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from work" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from work" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from work" -l url
complete -c holdfast -n "__fish_seen_subcommand_from work" -l user
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l access
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l api-tokens
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l api-tokens-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-auth-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-connections
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-eviction
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-idle-timeout
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-item-size
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-memory
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-memory-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-sasl-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-threads
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-tls-ca
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-tls-cert
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l cache-tls-key
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l config
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l data
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l group
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l help
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l json
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-allowed-origins
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-ca
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-cert
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-count
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-idle
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-interval
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-key
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-to-cache
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-to-queue
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-token-file
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-trusted-proxies
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-user-timeout
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l link-websocket
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l log
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l log-level
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l peers
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-curve-clients
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-curve-keys
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-events-bytes
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-events-keep
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-max-body
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-max-bytes
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-plain-users
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-reserve
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-result-bytes
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l queue-sync
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l replicas
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l store
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from show" -l websocket
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from check" -l help
complete -c holdfast -n "__fish_seen_subcommand_from config; and __fish_seen_subcommand_from schema" -l help
complete -c holdfast -n "__fish_seen_subcommand_from access; and __fish_seen_subcommand_from check" -l access
complete -c holdfast -n "__fish_seen_subcommand_from access; and __fish_seen_subcommand_from check" -l config
complete -c holdfast -n "__fish_seen_subcommand_from access; and __fish_seen_subcommand_from check" -l help
complete -c holdfast -n "__fish_seen_subcommand_from access; and __fish_seen_subcommand_from check" -l json
complete -c holdfast -n "__fish_seen_subcommand_from access; and __fish_seen_subcommand_from schema" -l help
complete -c holdfast -n "__fish_seen_subcommand_from story" -l config
complete -c holdfast -n "__fish_seen_subcommand_from story" -l help
complete -c holdfast -n "__fish_seen_subcommand_from story" -l json
complete -c holdfast -n "__fish_seen_subcommand_from story" -l key-file
complete -c holdfast -n "__fish_seen_subcommand_from story" -l password-file
complete -c holdfast -n "__fish_seen_subcommand_from story" -l read
complete -c holdfast -n "__fish_seen_subcommand_from story" -l server-key
complete -c holdfast -n "__fish_seen_subcommand_from story" -l timeout
complete -c holdfast -n "__fish_seen_subcommand_from story" -l url
complete -c holdfast -n "__fish_seen_subcommand_from story" -l user
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l bodies
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l color
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l config
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l count
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l dashboard-token
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l dashboard-token-file
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l help
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l interface
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l json
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l ladder
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l no-color
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l port
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l read
complete -c holdfast -n "__fish_seen_subcommand_from wire" -l write
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l cache
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l config
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l help
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l json
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l token
complete -c holdfast -n "__fish_seen_subcommand_from stats" -l token-file
complete -c holdfast -n "__fish_seen_subcommand_from health" -l config
complete -c holdfast -n "__fish_seen_subcommand_from health" -l dashboard
complete -c holdfast -n "__fish_seen_subcommand_from health" -l help
complete -c holdfast -n "__fish_seen_subcommand_from health" -l json
complete -c holdfast -n "__fish_seen_subcommand_from health" -l ready
complete -c holdfast -n "__fish_seen_subcommand_from health" -l token
complete -c holdfast -n "__fish_seen_subcommand_from health" -l token-file
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l address
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l duration
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l gets
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l help
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l in-flight
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l json
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l size
complete -c holdfast -n "__fish_seen_subcommand_from bench" -l url
