package sinks

// S3Server is for the tests of tables, which live outside the package.
var S3Server = s3Server
