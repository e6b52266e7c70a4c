"""The protobuf types of the public API, under the names that users import."""
