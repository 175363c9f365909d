/** ● The door `holdfast/zmq`. */
export {};
