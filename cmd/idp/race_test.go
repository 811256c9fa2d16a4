//go:build race

package main

// raceMemory is how many times as much memory the race detector takes.
const raceMemory = 8
