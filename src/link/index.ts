/** ● The door `holdfast/link`. */
export {};
