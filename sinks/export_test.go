package sinks

// S3Server is for the tests of tables, which live outside the package.
var S3Server = s3Server

// NewMemory returns an empty bucket in memory.
func NewMemory() Bucket { return &memory{objects: map[string][]byte{}} }
