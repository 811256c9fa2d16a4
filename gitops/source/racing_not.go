//go:build !race

package source

// racing says that the race detector runs.
const racing = false
