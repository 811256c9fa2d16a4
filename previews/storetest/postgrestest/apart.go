package postgrestest

import (
	"errors"
	"os"
	"syscall"
)

// Server is a server of its own, beside that of the test binary: one to stop and start
// again, and to cut off. Its methods may not be called concurrently.
type Server struct{ *running }

// Start starts a server, which ends with Close.
func Start() (*Server, error) {
	s, err := start()
	if err != nil {
		return nil, err
	}
	return &Server{s}, nil
}

// Create makes an empty database of a name and returns its URL.
func (s *Server) Create(name string) (address string, err error) { return s.create(name) }

// Halt stops the server as a crash would: no connection is ended in order, and what is
// open is rolled back at the next start.
func (s *Server) Halt() error {
	if err := s.process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-s.ended
	return nil
}

// Resume starts it again where it was halted, and returns once it answers.
func (s *Server) Resume() error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.answering("SELECT 1")
}

// Cut ends every connection to a database; new ones are taken.
func (s *Server) Cut(name string) error {
	return s.run("psql", "--quiet", "--no-psqlrc", "--tuples-only", "--output", os.DevNull, "--dbname", "postgres", "--command",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
}

// Close stops the server, halted or not, and removes what it wrote.
func (s *Server) Close() error {
	select {
	case <-s.ended:
		return os.RemoveAll(s.dir)
	default:
		return errors.Join(s.Halt(), os.RemoveAll(s.dir))
	}
}
