from rich.text import Text
def log_line(text: str) -> Text:
    return Text(text)
