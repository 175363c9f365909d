/** Where the three brokers of a test listen, all on one port: what a name with three addresses says. */
export const BROKER_HOSTS: readonly string[] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
