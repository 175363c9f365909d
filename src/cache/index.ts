/** ● The door `holdfast/cache`. */
export {};
