# bash completion for holdfast; source it, or copy it to /usr/share/bash-completion/completions/holdfast
_holdfast() {
  local current=${COMP_WORDS[COMP_CWORD]} words="" command="${COMP_WORDS[1]}"
  case "$command" in queue|config|access) command="$command ${COMP_WORDS[2]}" ;; esac
  if ((COMP_CWORD == 1)); then
    words="up listen connect cache queue work config access story wire stats health bench"
  elif ((COMP_CWORD == 2)) && [[ $command == *" "* ]]; then
    case "${COMP_WORDS[1]}" in
    queue) words="serve add call ls show events retry cancel promote flow signal update remove drain pause resume set purge cron check move keygen" ;;
    config) words="show check schema" ;;
    access) words="check schema" ;;
    esac
  elif [[ $current == -* ]]; then
    case "$command" in
    "up") words="--access --api-tokens --api-tokens-file --cache --cache-auth-file --cache-connections --cache-eviction --cache-idle-timeout --cache-item-size --cache-memory --cache-memory-file --cache-sasl-file --cache-threads --cache-tls-ca --cache-tls-cert --cache-tls-key --config --dashboard --dashboard-token --dashboard-token-file --data --group --help --json --link --link-allowed-origins --link-ca --link-cert --link-count --link-idle --link-interval --link-key --link-to-cache --link-to-queue --link-token-file --link-trusted-proxies --link-user-timeout --link-websocket --log --log-level --peers --queue --queue-curve-clients --queue-curve-keys --queue-events-bytes --queue-events-keep --queue-max-body --queue-max-bytes --queue-plain-users --queue-reserve --queue-result-bytes --queue-sync --replicas --store --websocket" ;;
    "listen") words="--allowed-origins --api-tokens --api-tokens-file --by --ca --cert --config --count --dashboard --dashboard-token --dashboard-token-file --data --format --help --idle --interval --json --key --log --log-level --peers --session --sessions --store --token-file --trusted-proxies --user-timeout --websocket" ;;
    "connect") words="--ca --cert --config --count --help --idle --interval --json --key --reconnect --session --spool --tls --token-file --user-timeout" ;;
    "cache") words="--access --api-tokens-file --auth-file --cluster --conn-limit --daemon --dashboard --dashboard-token --dashboard-token-file --delimiter --disable-cas --disable-dumping --disable-evictions --disable-flush-all --disable-watch --enable-largepages --enable-sasl --enable-shutdown --enable-ssl --extended --help --license --listen --listen-backlog --log --log-level --max-item-size --max-reqs-per-event --memory-file --memory-limit --peers --pidfile --port --protocol --slab-growth-factor --slab-min-size --threads --udp-port --unix-mask --unix-socket --user --verbose --version" ;;
    "queue serve") words="--access --api-tokens --api-tokens-file --config --curve-clients --curve-keys --dashboard --dashboard-token --dashboard-token-file --data --events-bytes --events-keep --group --help --json --listen --log --log-level --max-body --max-bytes --peers --plain-users --replicas --reserve --result-bytes --store --sync" ;;
    "queue add") words="--after --attempt-timeout --attempts --backoff --config --debounce --delay --expire --group --help --json --keep --key --key-file --lines --on-parent-dead --password-file --priority --run-at --server-key --throttle --timeout --unique-while --url --user --wait" ;;
    "queue call") words="--after --attempt-timeout --attempts --backoff --config --debounce --delay --expire --group --help --json --keep --key --key-file --on-parent-dead --password-file --priority --run-at --server-key --throttle --timeout --unique-while --url --user --wait" ;;
    "queue ls") words="--after --config --error --errors --from --group --help --json --key --key-file --limit --password-file --server-key --state --timeout --until --url --user --where" ;;
    "queue show") words="--config --help --json --key-file --password-file --server-key --timeout --url --user" ;;
    "queue events") words="--after --config --event --help --json --key-file --limit --password-file --server-key --timeout --url --user" ;;
    "queue retry") words="--config --error --errors --from --group --help --json --key --key-file --password-file --queue --server-key --state --timeout --until --url --user" ;;
    "queue cancel") words="--config --error --errors --from --group --help --json --key --key-file --password-file --queue --server-key --state --timeout --until --url --user" ;;
    "queue promote") words="--config --error --errors --from --group --help --json --key --key-file --password-file --queue --server-key --state --timeout --until --url --user" ;;
    "queue flow") words="--cancel --config --help --json --key-file --password-file --retry --server-key --timeout --url --user" ;;
    "queue signal") words="--config --help --json --key-file --password-file --server-key --timeout --url --user" ;;
    "queue update") words="--body --config --delay --help --json --key-file --password-file --priority --server-key --timeout --url --user" ;;
    "queue remove") words="--config --error --errors --from --group --help --json --key --key-file --password-file --queue --server-key --state --timeout --until --url --user" ;;
    "queue drain") words="--config --delayed --help --json --key-file --password-file --server-key --timeout --url --user" ;;
    "queue pause") words="--config --help --json --key-file --password-file --server-key --timeout --url --user" ;;
    "queue resume") words="--config --help --json --key-file --password-file --server-key --timeout --url --user" ;;
    "queue set") words="--aging --concurrency --config --group --group-concurrency --group-rate --help --json --keep-completed --keep-completed-for --keep-dead --keep-dead-for --key-file --max-bytes --password-file --rate --server-key --timeout --url --user" ;;
    "queue purge") words="--config --help --json --key-file --password-file --server-key --state --timeout --url --user" ;;
    "queue cron") words="--config --help --json --key-file --missed --password-file --queue --remove --server-key --time-zone --timeout --url --user" ;;
    "queue check") words="--data --help --json --salvage" ;;
    "queue move") words="--from --give-up --help --json --to" ;;
    "queue keygen") words="--help --json" ;;
    "work") words="--api-tokens --api-tokens-file --concurrency --config --dashboard --dashboard-token --dashboard-token-file --drain --help --json --key-file --log --log-level --password-file --peers --server-key --timeout --url --user" ;;
    "config show") words="--access --api-tokens --api-tokens-file --cache --cache-auth-file --cache-connections --cache-eviction --cache-idle-timeout --cache-item-size --cache-memory --cache-memory-file --cache-sasl-file --cache-threads --cache-tls-ca --cache-tls-cert --cache-tls-key --config --dashboard --dashboard-token --dashboard-token-file --data --group --help --json --link --link-allowed-origins --link-ca --link-cert --link-count --link-idle --link-interval --link-key --link-to-cache --link-to-queue --link-token-file --link-trusted-proxies --link-user-timeout --link-websocket --log --log-level --peers --queue --queue-curve-clients --queue-curve-keys --queue-events-bytes --queue-events-keep --queue-max-body --queue-max-bytes --queue-plain-users --queue-reserve --queue-result-bytes --queue-sync --replicas --store --websocket" ;;
    "config check") words="--help" ;;
    "config schema") words="--help" ;;
    "access check") words="--access --config --help --json" ;;
    "access schema") words="--help" ;;
    "story") words="--config --help --json --key-file --password-file --read --server-key --timeout --url --user" ;;
    "wire") words="--bodies --color --config --count --dashboard --dashboard-token --dashboard-token-file --help --interface --json --ladder --no-color --port --read --write" ;;
    "stats") words="--cache --config --dashboard --help --json --token --token-file" ;;
    "health") words="--config --dashboard --help --json --ready --token --token-file" ;;
    "bench") words="--address --duration --gets --help --in-flight --json --size --url" ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _holdfast holdfast
