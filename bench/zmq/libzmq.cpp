// The bench's libzmq actor in C++: plays one end of a connection and does so many messages whenever stdin says "run COUNT".
// usage: libzmq ROLE bind|connect ENDPOINT SIZE [PUBLIC_KEY SECRET_KEY SERVER_KEY]. Says "bound", "ready", then "ok" after each run.
#include <zmq.h>

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr int WINDOW = 128;        // questions under way in the pipelined test
constexpr int SUBSCRIBERS = 100;

void *context;
size_t size;
std::vector<char> body;

void check(bool done) {
  if (done) return;
  std::fprintf(stderr, "libzmq: %s\n", zmq_strerror(zmq_errno()));
  std::exit(1);
}

void set(void *socket, int option, int value) { check(zmq_setsockopt(socket, option, &value, sizeof value) == 0); }

// CURVE with the keys of the command line; the one that binds is the server.
void secure(void *socket, bool server, char **keys) {
  if (server) set(socket, ZMQ_CURVE_SERVER, 1);
  check(zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys[0], 40) == 0);
  check(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys[1], 40) == 0);
  if (!server) check(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys[2], 40) == 0);
}

void *open(int type, const std::string &how, const char *endpoint, char **keys) {
  void *socket = zmq_socket(context, type);
  check(socket != nullptr);
  set(socket, ZMQ_LINGER, 0);
  if (type == ZMQ_SUB) {
    check(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) == 0);
    set(socket, ZMQ_RCVHWM, 0);
  }
  if (type == ZMQ_XPUB) {
    set(socket, ZMQ_SNDHWM, 0);
    set(socket, ZMQ_XPUB_VERBOSE, 1);
  }
  if (keys) secure(socket, how == "bind", keys);
  check((how == "bind" ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint)) == 0);
  return socket;
}

void send(void *socket) {
  zmq_msg_t message;
  check(zmq_msg_init_size(&message, size) == 0);
  std::memcpy(zmq_msg_data(&message), body.data(), size);
  check(zmq_msg_send(&message, socket, 0) >= 0);
}

void receive(void *socket) {
  zmq_msg_t message;
  check(zmq_msg_init(&message) == 0);
  check(zmq_msg_recv(&message, socket, 0) >= 0);
  zmq_msg_close(&message);
}

void push(void *socket, long count) {
  for (long at = 0; at < count; ++at) send(socket);
}

void pull(void *socket, long count) {
  for (long at = 0; at < count; ++at) receive(socket);
}

void request(void *socket, long count) {
  for (long at = 0; at < count; ++at) {
    send(socket);
    receive(socket);
  }
}

void reply(void *socket, long count) {
  for (long at = 0; at < count; ++at) {
    receive(socket);
    send(socket);
  }
}

void deal(void *socket, long count) {
  long sent = 0;
  for (; sent < WINDOW && sent < count; ++sent) send(socket);
  for (long at = 0; at < count; ++at) {
    receive(socket);
    if (sent < count) {
      send(socket);
      ++sent;
    }
  }
}

void route(void *socket, long count) {
  zmq_msg_t id, message;
  for (long at = 0; at < count; ++at) {
    zmq_msg_init(&id);
    zmq_msg_init(&message);
    check(zmq_msg_recv(&id, socket, 0) >= 0);
    check(zmq_msg_recv(&message, socket, 0) >= 0);
    check(zmq_msg_send(&id, socket, ZMQ_SNDMORE) >= 0);
    check(zmq_msg_send(&message, socket, 0) >= 0);
  }
}

}  // namespace

int main(int argc, char **argv) {
  assert(argc >= 5);
  const std::string role = argv[1], how = argv[2];
  size = std::strtoul(argv[4], nullptr, 10);
  body.assign(size, 'x');
  char **keys = argc == 8 ? argv + 5 : nullptr;
  context = zmq_ctx_new();

  const std::map<std::string, std::pair<int, std::function<void(void *, long)>>> roles = {
      {"push", {ZMQ_PUSH, push}},   {"pull", {ZMQ_PULL, pull}},       {"request", {ZMQ_REQ, request}},
      {"reply", {ZMQ_REP, reply}},  {"deal", {ZMQ_DEALER, deal}},     {"route", {ZMQ_ROUTER, route}},
      {"publish", {ZMQ_XPUB, push}}, {"subscribe", {ZMQ_SUB, pull}},
  };
  const auto &[type, play] = roles.at(role);
  std::vector<void *> sockets;
  for (int at = 0; at < (type == ZMQ_SUB ? SUBSCRIBERS : 1); ++at) sockets.push_back(open(type, how, argv[3], keys));
  std::puts("bound");
  std::fflush(stdout);
  if (type == ZMQ_XPUB) pull(sockets[0], SUBSCRIBERS);  // all have subscribed
  std::puts("ready");
  std::fflush(stdout);

  char line[64];
  while (std::fgets(line, sizeof line, stdin)) {
    const long count = std::strtol(line + 4, nullptr, 10);
    for (void *socket : sockets) play(socket, count);
    std::puts("ok");
    std::fflush(stdout);
  }
  for (void *socket : sockets) zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
