/** ● The door `holdfast/queue`. */
export {};
