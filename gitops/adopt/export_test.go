package adopt

// Told is Objects with every note, for tests that hold them to what was done.
func Told(documents [][]byte, in Input) (Result, error) { return objects(documents, in, 1<<20) }
