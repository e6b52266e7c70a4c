"""What both ends of a signal connection share: messages, session descriptions and media parameters. Sans-IO."""
